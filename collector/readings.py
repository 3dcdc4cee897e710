"""Readings: what can be read off a part at any moment, for whoever publishes metrics."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a gauge; ``labels`` tell those of one name apart."""

    name: str
    meaning: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)


class Gauged(Protocol):
    """Something that values can be read off."""

    def readings(self) -> Iterator[Reading]:
        """Yield what can be read off now; cheap, and safe at any time on the event loop."""
        ...
