"""Makes room in the store before it outgrows its budget."""

import asyncio
import logging
from datetime import UTC, datetime

from collector.counts import Counts
from core.clock import Clock
from core.faults import Fault
from storage.telemetry.engine import Engine
from storage.telemetry.space import make_room

log = logging.getLogger(__name__)

EVERY_S = 60.0


class SpaceGuard:
    """Looks at the store's size each minute; what it drops is said in the log and counted."""

    def __init__(self, engine: Engine, clock: Clock, counts: Counts, *, budget_bytes: int) -> None:
        self._engine, self._clock, self._counts, self._budget_bytes = engine, clock, counts, budget_bytes

    def __repr__(self) -> str:
        return f"<SpaceGuard budget_bytes={self._budget_bytes}>"

    async def run(self) -> None:
        """Keep the budget until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(EVERY_S)

    async def look(self) -> None:
        """Make room once, if there is too little."""
        today = f"{datetime.fromtimestamp(self._clock.now(), UTC):%Y%m%d}"
        try:
            dropped = await asyncio.to_thread(make_room, self._engine, budget_bytes=self._budget_bytes, today=today)
        except Fault as fault:
            log.warning("no room can be made; trying again in %.0f s: %s", EVERY_S, fault)
            return
        for each in dropped:
            log.warning(
                "dropped the day %s (%d bytes): the store had outgrown %d bytes", each.day, each.bytes, self._budget_bytes
            )
            self._counts.dropped_days["over_budget"] += 1
