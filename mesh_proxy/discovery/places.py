"""What a discovery finds: the interface that every source of endpoints has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.faults import Fault
from mesh_proxy.targets.outlier import Place


class NotFound(Fault):
    """A source of endpoints has no answer now; the places that were found last stay."""

    code = "endpoints_not_found"
    retryable = True


@dataclass(frozen=True, slots=True)
class Found:
    """The places of a target now, and for how many seconds that may be believed."""

    places: Sequence[Place]
    for_s: float


class EndpointSource(Protocol):
    """Where a target's endpoints are known. A control plane that pushes is one more: ``find`` waits for its next word."""

    async def find(self) -> Found:
        """Return all places of the target now, perhaps none. Raises NotFound when that cannot be told."""
        ...
