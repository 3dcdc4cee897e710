"""`meshscope collect` and `meshscope ingest`: the parts of `up` as processes of their own, with Kafka between them."""

import asyncio
from contextlib import AsyncExitStack

from cli.bounds import keep_bounds
from cli.kafka import ingest_from_kafka, kafka_bus
from cli.lifecycle import cancel, on_signal, until
from cli.metrics import serve_metrics
from cli.receivers import limits_of, open_doors
from cli.settings import Settings
from cli.store import open_store_when_there
from cli.thinning import thin_traces
from collector.counts import Counts
from collector.intake import Intake
from collector.settling import EdgeSettler
from collector.space_guard import SpaceGuard
from core.clock import SystemClock


async def collect(settings: Settings) -> None:
    """Take telemetry and put it on Kafka until told to stop; any number of these may run."""
    stopping, limits, counts = on_signal(), limits_of(settings), Counts()
    async with AsyncExitStack() as stack:
        bus = await kafka_bus(stack, settings, limits)
        await serve_metrics(stack, settings.host, settings.collect_metrics_port, counts, [bus], name="collect-metrics")
        await open_doors(stack, settings, Intake(bus, limits, counts))
        await until(stopping)


async def ingest(settings: Settings) -> None:
    """Store what Kafka holds until told to stop; those of one group share the partitions."""
    stopping, clock, counts = on_signal(), SystemClock(), Counts()
    async with AsyncExitStack() as stack:
        opening = asyncio.create_task(open_store_when_there(stack, settings, clock), name="open the store")
        stack.push_async_callback(cancel, opening)
        await until(stopping, opening)
        if stopping.is_set():
            return
        engine = opening.result()
        settling = asyncio.create_task(EdgeSettler(engine, clock, counts).run(), name="settle edges")
        stack.push_async_callback(cancel, settling)
        guard = SpaceGuard(engine, clock, counts, budget_bytes=settings.max_disk_bytes)
        guarding = asyncio.create_task(guard.run(), name="guard space")
        stack.push_async_callback(cancel, guarding)
        thin_traces(stack, settings, engine, clock)
        keep_bounds(stack, settings, engine, clock, counts)
        ingest, storing = await ingest_from_kafka(stack, settings, engine, clock, counts)
        await serve_metrics(stack, settings.host, settings.ingest_metrics_port, counts, [ingest], name="ingest-metrics")
        await until(stopping, storing, settling, guarding)
