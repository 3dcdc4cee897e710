"""Thins traces that are old enough, while telemetry comes in."""

import asyncio
import logging

from core.clock import Clock
from core.faults import Fault
from storage.telemetry import thinning
from storage.telemetry.engine import Engine
from storage.telemetry.thinning import Policy, Slice

log = logging.getLogger(__name__)

EVERY_S = 60.0
FIRST_STEP_S, LONGEST_STEP_S = 0.1, 2.0
"""How long to wait before asking the store again whether a removal is done."""


class TraceThinner:
    """Looks each minute for hours of spans that are to be judged or swept; what it removes is said in the log."""

    def __init__(self, engine: Engine, clock: Clock, policy: Policy) -> None:
        self._engine, self._clock, self._policy = engine, clock, policy

    def __repr__(self) -> str:
        return f"<TraceThinner {self._policy}>"

    async def run(self) -> None:
        """Thin until cancelled."""
        while True:
            try:
                await self.look()
            except Fault as fault:
                log.warning("traces are not thinned; trying again in %.0f s: %s", EVERY_S, fault)
            await self._clock.sleep(EVERY_S)

    async def look(self) -> None:
        """Judge and sweep what is due, once. Raises StoreUnavailable."""
        now = self._clock.now()
        found = await asyncio.to_thread(thinning.slices, self._engine, now=now)
        # All are judged before any is swept: what speaks for a trace may lie hours after its first span.
        judged = [each if each.is_judged else await self._judge(each) for each in found]
        for each in judged:
            if not each.swept and each.end <= now - self._policy.after_s:
                await self._sweep(each)
        for day in await asyncio.to_thread(thinning.half_empty, self._engine):
            await asyncio.to_thread(thinning.reclaim, self._engine, day)
            await self._removed()

    async def _judge(self, each: Slice) -> Slice:
        return await asyncio.to_thread(thinning.judge, self._engine, self._policy, each)

    async def _sweep(self, each: Slice) -> None:
        before = await asyncio.to_thread(thinning.sweep, self._engine, each)
        await self._removed()
        after = await asyncio.to_thread(thinning.swept, self._engine, before)
        if gone := before.spans - after.spans:
            log.info(
                "thinned the hour from %d: %d of %d spans went, %d of %d traces stay",
                each.start, gone, before.spans, after.traces_kept, after.traces_seen,
            )  # fmt: skip

    async def _removed(self) -> None:
        """Wait until nothing is being removed."""
        told, step_s = "", FIRST_STEP_S
        while True:
            unfinished, trouble = await asyncio.to_thread(thinning.unfinished, self._engine)
            if not unfinished:
                return
            if trouble and trouble != told:
                log.warning("the store has trouble removing thinned spans: %s", trouble[:300])
                told = trouble
            await self._clock.sleep(step_s)
            step_s = min(step_s * 2, LONGEST_STEP_S)
