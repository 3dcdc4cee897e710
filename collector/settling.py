"""Settles edges every few seconds while telemetry comes in."""

import asyncio
import logging

from collector.counts import Counts
from core.clock import Clock
from core.faults import Fault
from storage.telemetry.edges import PATIENCE_S, settle
from storage.telemetry.engine import Engine

log = logging.getLogger(__name__)

EVERY_S = 3.0


class EdgeSettler:
    """Keeps ``edges_1m`` up to date; rests while nothing arrives."""

    def __init__(self, engine: Engine, clock: Clock, counts: Counts) -> None:
        self._engine, self._clock, self._counts = engine, clock, counts
        self._settled_to = 0.0

    def __repr__(self) -> str:
        return f"<EdgeSettler settled_to={self._settled_to:.0f}>"

    async def run(self) -> None:
        """Settle until cancelled; the first look reaches back to what an earlier process left unsettled."""
        since = self._clock.now() - 2 * 3600
        seen, quiet_since = -1, 0.0
        while True:
            started = self._clock.now()
            blocks = self._counts.committed_blocks["traces"]
            if blocks != seen:
                seen, quiet_since = blocks, started
            # After the last block, lone halves still wait for their patience to run out.
            if started - quiet_since <= PATIENCE_S + 2 * EVERY_S and await self.settle(since):
                since = started
            await self._clock.sleep(EVERY_S)

    async def settle(self, since: float) -> bool:
        """Settle what arrived after ``since``; return whether the store let us."""
        try:
            await asyncio.to_thread(settle, self._engine, since=since)
        except Fault as fault:
            log.warning("edges are not settled; trying again in %.0f s: %s", EVERY_S, fault)
            return False
        self._settled_to = self._clock.now()
        return True
