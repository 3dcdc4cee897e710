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

REST = 9
"""How many times as long as a look took the settler rests at least: under load edges are fresh later, not dearer."""


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
        seen, arrived, looked = -1, 0.0, 0.0
        while True:
            started = self._clock.now()
            blocks = self._counts.committed_blocks["traces"]
            if blocks != seen:
                seen, arrived = blocks, started
            # After the last block, lone halves still wait for their patience to run out: one more look when it has.
            if looked <= arrived + PATIENCE_S + EVERY_S and await self.settle(since):
                since = looked = started
            await self._clock.sleep(max(EVERY_S, REST * (self._clock.now() - started)))

    async def settle(self, since: float) -> bool:
        """Settle what arrived after ``since``; return whether the store let us."""
        try:
            await asyncio.to_thread(settle, self._engine, since=since)
        except Fault as fault:
            log.warning("edges are not settled; trying again in %.0f s: %s", EVERY_S, fault)
            return False
        self._settled_to = self._clock.now()
        return True
