"""Counts what came in and what became of it; sent and stored are counted after success only."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """What this collector has seen since it started; ``items`` are spans, log records or metrics, ``rows`` spans, log
    records or data points that were refused though the rest of their request was accepted."""

    accepted_requests: Counter[str] = field(default_factory=Counter)
    accepted_items: Counter[str] = field(default_factory=Counter)
    repeated_requests: Counter[str] = field(default_factory=Counter)
    refused_requests: Counter[str] = field(default_factory=Counter)
    refused_rows: Counter[str] = field(default_factory=Counter)
    committed_blocks: Counter[str] = field(default_factory=Counter)
    stored_requests: Counter[str] = field(default_factory=Counter)
    stored_bytes: Counter[str] = field(default_factory=Counter)
    store_retries: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    dropped_days: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Return all counts by name, then by signal or reason."""
        return {name: dict(getattr(self, name)) for name in self.__slots__}
