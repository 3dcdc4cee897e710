"""The intake: what every door does with a request once it has its bytes."""

from collector.admission import Limits
from collector.bus import Bus
from collector.counts import Counts
from collector.sift import Admitted, admit
from core.faults import Fault
from storage.telemetry.engine import Signal


class Intake:
    """Checks a request, puts it on the bus and counts what became of it."""

    def __init__(self, bus: Bus, limits: Limits, counts: Counts) -> None:
        self._bus, self.limits, self._counts = bus, limits, counts

    async def take(self, signal: Signal, body: bytes) -> Admitted:
        """Return when all of the request that can be stored is durable; raise a Fault that says why nothing is."""
        try:
            admitted = admit(signal, body, self.limits)
            if admitted.items:
                await self._bus.publish(signal, admitted.body, admitted.copied)
        except Fault as fault:
            self.refused(fault)
            raise
        self._counts.accepted_requests[signal] += 1
        self._counts.accepted_items[signal] += admitted.items
        if admitted.refused:
            self._counts.refused_rows[signal] += admitted.refused
        return admitted

    def refused(self, fault: Fault) -> None:
        """Count a request that a door turned away itself."""
        self._counts.refused_requests[fault.code] += 1
