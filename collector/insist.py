"""Insisting: a step is done again until it is done, for what it carries must neither be lost nor be cut anew."""

import asyncio
import logging
from collections.abc import Callable

from core.clock import Clock
from core.faults import Fault
from storage.telemetry.engine import BadBlock

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


async def insist(step: Callable[[], None], clock: Clock, *, what: str, give_up: Callable[[], bool]) -> None:
    """Run ``step`` in a thread until it succeeds; raise its trouble when ``give_up`` says so, and BadBlock at once."""
    pause = FIRST_PAUSE_S
    while True:
        try:
            return await asyncio.to_thread(step)
        except (Fault, OSError) as trouble:
            if give_up() or isinstance(trouble, BadBlock):
                raise
            log.warning("%s cannot be stored; trying again in %.1f s: %s", what, pause, trouble)
        await clock.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_S)
