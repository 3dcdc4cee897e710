"""Looks now and then at what was stored since the look before, while telemetry comes in."""

import asyncio
import logging
from collections.abc import Callable

from collector.counts import Counts
from core.clock import Clock
from core.faults import Fault
from storage.telemetry.bounds import Fresh, fresh
from storage.telemetry.engine import Engine

log = logging.getLogger(__name__)

EVERY_S = 5.0
REACH_S = 600
"""How far a node's first look reaches back: to what an earlier process left unseen."""

Look = Callable[[Engine, Fresh], None]


class Lookout:
    """Calls ``look(node, what is new there)`` for each node of the store, and rests ``rest_s`` after it."""

    def __init__(self, engine: Engine, clock: Clock, counts: Counts, look: Look, *, why: str, rest_s: float = EVERY_S) -> None:
        self._engine, self._clock, self._counts, self._look, self._why, self._rest_s = engine, clock, counts, look, why, rest_s
        self._looked_to: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<Lookout {self._why} looked_to={list(self._looked_to.values())}>"

    async def run(self) -> None:
        """Look until cancelled: once at the start, then when blocks were committed."""
        seen = -1
        while True:
            blocks = self._counts.committed_blocks["traces"]
            if rest := blocks != seen:
                seen = blocks if await self.look() else -1
            await self._clock.sleep(self._rest_s if rest else EVERY_S)

    async def look(self) -> bool:
        """Look once; return whether all nodes let us."""
        return all([await self._look_at(node) for node in self._engine.nodes])

    async def _look_at(self, node: Engine) -> bool:
        try:
            await asyncio.to_thread(self._see, node)
        except Fault as fault:
            log.warning("%s: the store does not let us look; trying again: %s", self._why, fault)
            return False
        return True

    def _see(self, node: Engine) -> None:
        found = fresh(node, since=self._looked_to.get(id(node), int(self._clock.now()) - REACH_S))
        self._look(node, found)
        self._looked_to[id(node)] = found.now
