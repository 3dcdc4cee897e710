"""The parts that ingest: CPU seconds of whole processes, counted by the operating system, under a load that lasts."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from aiokafka.errors import GroupCoordinatorNotAvailableError

from benchmarks import ours
from benchmarks.load import Load
from benchmarks.mesh_spans import SPANS_PER_REQUEST
from benchmarks.peers.collectors import PEERS, NotHere, Peer
from benchmarks.peers.sink import Columns, Sink
from benchmarks.process import Process
from benchmarks.samples import ROUNDS, Samples, parsed_per_cpu_s
from benchmarks.sender import send
from core.clock import SystemClock
from storage.telemetry.engine import Engine
from storage.telemetry.engine_clickhouse import open_embedded
from storage.telemetry.migrate import statements
from tests.fakes.kafka import kafka, lag

CLOCK = SystemClock()
SCHEMA = Path(__file__).parent / "peers/exporter_schema.sql"


class Void(Exception):
    """A collector did not pass on each span once, so that what it used says nothing."""


def load_of(requests: int) -> Load:
    """Return a load of spans of the last hour."""
    return Load(requests, start_ns=int((CLOCK.now() - 3600) * 10**9))


def embedded(requests: int, home: Path) -> Samples:
    """OTLP/HTTP requests -> committed rows and all that follows from them, in one process."""

    async def measure(load: Load, samples: Samples) -> None:
        process, port = ours.up(home)
        try:
            await process.listening(port)
            await _rounds(load, process, port, "embedded", samples)
            samples.add("embedded_rss_mb", process.peak_rss_mb())
        finally:
            process.stop()
        ours.expect_stored(home, (ROUNDS + 1) * load.spans)

    return _measured(measure, requests)


def over_kafka(requests: int, home: Path) -> Samples:
    """OTLP/HTTP requests -> Kafka (acks=all), then Kafka -> committed rows: two processes, the broker not counted."""

    async def measure(load: Load, samples: Samples) -> None:
        with kafka(home / "kafka") as servers:
            process, port = ours.collect(home, servers)
            try:
                await process.listening(port)
                await _rounds(load, process, port, "receive_to_kafka", samples)
                samples.add("collect_rss_mb", process.peak_rss_mb())
            finally:
                process.stop()
            group = f"benchmark-{os.getpid()}"
            process = ours.ingest(home, servers, group)
            try:
                await _drain(process, servers, group, (ROUNDS + 1) * requests, samples)
                samples.add("rss_mb", process.peak_rss_mb())
            finally:
                process.stop()
        ours.expect_stored(home, (ROUNDS + 1) * load.spans)

    return _measured(measure, requests)


def peers(requests: int, home: Path) -> Samples:
    """The other collectors, OTLP/HTTP -> inserts over HTTP into a sink that is not counted, on the same requests."""
    engine = open_embedded(home / "data")
    for statement in statements(SCHEMA.read_text("utf-8")):
        engine.command(statement)
    columns = {row["name"]: row["type"] for row in engine.query("DESCRIBE TABLE exporter.otel_traces", {})}

    async def measure(load: Load, samples: Samples) -> None:
        for peer in PEERS:
            figures = Samples()
            try:
                await _peer(peer, load, home, columns, figures)
                _expect_rows(engine, home / peer.name, columns, (ROUNDS + 1) * load.spans)
            except (NotHere, Void) as reason:
                samples.missing[peer.name] = str(reason)
            else:
                samples.merge([figures])

    samples = _measured(measure, requests)
    engine.close()
    return samples


async def _peer(peer: Peer, load: Load, home: Path, columns: Columns, samples: Samples) -> None:
    sink = Sink(home / peer.name, columns)
    process, port = peer.start(home, await sink.start())
    try:
        await process.listening(port)
        await _rounds(load, process, port, peer.name, samples, answers_early=True)
        samples.add(f"{peer.name}_rss_mb", process.peak_rss_mb())
    finally:
        process.stop()
        await sink.stop()


async def _rounds(load: Load, process: Process, port: int, name: str, samples: Samples, *, answers_early: bool = False) -> None:
    """Send one round after the other; what a process does between rounds counts for the next one.

    A collector that answers before it has passed the spans on is given the time to do so within the round.
    """
    used = process.cpu_s()
    for number in range(ROUNDS + 1):
        bodies = load.round(number)
        yardstick = parsed_per_cpu_s(bodies)
        await send(port, bodies)
        if answers_early:
            await process.quiet()
        used, before = process.cpu_s(), used
        if number:
            samples.add("yardstick_spans_per_cpu_s", yardstick)
            samples.add(f"{name}_spans_per_cpu_s", load.spans / (used - before))


async def _drain(process: Process, servers: str, group: str, messages: int, samples: Samples) -> None:
    """Wait until all is stored; the first part warms up, and each after it is as large as half a round or a little more."""
    left, used, warm = messages, 0.0, False
    while left:
        await CLOCK.sleep(0.2)
        try:
            now_left, now_used = await lag(servers, group), process.cpu_s()
        except GroupCoordinatorNotAvailableError:
            continue  # the first member of the first group is on its way
        if now_left and left - now_left < messages / (2 * (ROUNDS + 1)):
            continue
        if warm:
            samples.add("kafka_to_rows_spans_per_cpu_s", (left - now_left) * SPANS_PER_REQUEST / (now_used - used))
        left, used, warm = now_left, now_used, True


def _measured(measure: Callable[[Load, Samples], Coroutine[Any, Any, None]], requests: int) -> Samples:
    samples = Samples()
    asyncio.run(measure(load_of(requests), samples))
    return samples


def _expect_rows(engine: Engine, folder: Path, columns: Columns, expected: int) -> None:
    """Let ClickHouse read what a collector inserted. Raises Void when it is not what was sent."""
    form = next(folder.iterdir()).suffix.removeprefix(".")
    structure = ", ".join(f"`{name}` {type_}" for name, type_ in columns.items())
    (found,) = engine.query(
        "SELECT count() AS spans, uniqExact(TraceId, SpanId) AS different"
        " FROM file({files:String}, {form:String}, {structure:String})",
        {"files": f"{folder}/*.{form}", "form": form, "structure": structure},
    )
    if (found["spans"], found["different"]) != (expected, expected):
        raise Void(f"of {expected:,} spans {found['different']:,} arrived, in {found['spans']:,} rows")
