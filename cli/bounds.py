"""Starts what keeps the store's bounds and knows its attributes."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

from cli.lifecycle import cancel
from cli.settings import Settings
from collector.counts import Counts
from collector.lookout import Lookout
from core.clock import Clock
from storage.telemetry.bounds import Bounds, enforce, note_attributes
from storage.telemetry.engine import Engine

ATTRIBUTES_REST_S = 60.0


def keep_bounds(stack: AsyncExitStack, settings: Settings, engine: Engine, clock: Clock, counts: Counts) -> None:
    """Keep bounds and note attributes until ``stack`` unwinds; several processes that do so at once only cost more."""
    bounds = Bounds(settings.max_operations_per_service, settings.max_spans_per_trace)
    for lookout in (
        Lookout(engine, clock, counts, partial(enforce, bounds=bounds), why="bounds"),
        Lookout(engine, clock, counts, note_attributes, why="attributes", rest_s=ATTRIBUTES_REST_S),
    ):
        stack.push_async_callback(cancel, asyncio.create_task(lookout.run(), name=repr(lookout)))
