"""`meshscope up`: everything in one process, with the store inside it or on a server."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from alerting.rules import RuleBook, load_rules
from alerting.service import Alerting
from cli.bounds import keep_bounds
from cli.kafka import ingest_from_kafka, kafka_bus
from cli.lifecycle import cancel, on_signal
from cli.receivers import limits_of, open_doors
from cli.settings import Settings
from cli.store import open_store, own_data_dir
from cli.thinning import thin_traces
from collector.admission import Limits
from collector.bus import Bus
from collector.bus_local import LocalBuses
from collector.counts import Counts
from collector.intake import Intake
from collector.settling import EdgeSettler
from collector.space_guard import SpaceGuard
from core.clock import Clock, SystemClock
from storage.state.alert_store import AlertStore
from storage.state.database import open_database
from storage.state.migrate import migrate
from storage.telemetry.engine import Engine

log = logging.getLogger(__name__)


async def up(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, then store what was taken and let go of the data; a second signal ends it at once."""
    stopping = on_signal()
    async with running(settings):
        await stopping.wait()
        log.info("stopping: storing what was taken")


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """Run all parts, wired to one store; they stop in the opposite order of their start."""
    clock, counts = SystemClock(), Counts()
    rules = load_rules(settings.rules) if settings.rules else RuleBook(rules=(), webhooks=())
    async with AsyncExitStack() as stack:
        own_data_dir(stack, settings)
        engine = await open_store(stack, settings)
        alerts = await _alert_store(stack, settings)
        if settings.http_port:
            from cli.pages import serve_pages  # noqa: PLC0415 - who has no pages starts in half the time

            await serve_pages(stack, settings, engine, alerts, clock)
        await _raise_alerts(stack, settings, engine, alerts, rules, clock)
        await _collect(stack, settings, engine, clock, counts)
        yield
    log.info("stopped; %s", counts)


async def _alert_store(stack: AsyncExitStack, settings: Settings) -> AlertStore:
    url = f"sqlite+aiosqlite:///{(settings.data_dir / 'state.sqlite').absolute()}"
    await migrate(url)
    database = open_database(url)
    stack.push_async_callback(database.dispose)
    return AlertStore(database)


async def _raise_alerts(
    stack: AsyncExitStack, settings: Settings, engine: Engine, alerts: AlertStore, rules: RuleBook, clock: Clock
) -> None:
    sending = await stack.enter_async_context(httpx.AsyncClient(timeout=10))
    alerting = Alerting(engine, alerts, rules, sending, clock, external_url=settings.external_url)
    running = asyncio.create_task(alerting.run(), name="alerting")
    stack.push_async_callback(asyncio.gather, running)
    stack.push_async_callback(alerting.stop)


async def _collect(stack: AsyncExitStack, settings: Settings, engine: Engine, clock: Clock, counts: Counts) -> None:
    limits = limits_of(settings)
    settler = EdgeSettler(engine, clock, counts)
    settling = asyncio.create_task(settler.run(), name="settle edges")
    stack.push_async_callback(cancel, settling)
    guard = SpaceGuard(engine, clock, counts, budget_bytes=settings.max_disk_bytes)
    guarding = asyncio.create_task(guard.run(), name="guard space")
    stack.push_async_callback(cancel, guarding)
    thin_traces(stack, settings, engine, clock)
    keep_bounds(stack, settings, engine, clock, counts)
    await open_doors(stack, settings, Intake(await _bus(stack, settings, engine, clock, limits, counts), limits, counts))


async def _bus(stack: AsyncExitStack, settings: Settings, engine: Engine, clock: Clock, limits: Limits, counts: Counts) -> Bus:
    if settings.kafka_bootstrap_servers:
        bus = await kafka_bus(stack, settings, limits)
        await ingest_from_kafka(stack, settings, engine, clock, counts)
        return bus
    buses = LocalBuses(engine, settings.data_dir / "journal", clock, limits, counts)
    await buses.start()
    stack.push_async_callback(buses.close)
    return buses
