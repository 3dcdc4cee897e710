"""The way over a real Kafka: whole requests in, each stored once, over crashes and bad messages."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from collector.admission import Busy, Limits
from collector.bus_kafka import KafkaBus, make_topics
from collector.counts import Counts
from collector.dead_letters import dead_letters, replay
from collector.ingest_kafka import KafkaIngest
from collector.kafka import DEAD_LETTERS, TOPICS, KafkaSettings
from core.clock import SystemClock
from storage.telemetry.engine import Engine, Signal
from tests.fakes.kafka import kafka
from tests.fakes.spans import SERVER, Span, request

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with kafka(tmp_path_factory.mktemp("kafka")) as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture
async def settings(servers: str) -> KafkaSettings:
    """Return settings with a group of this test's own, on topics that are as good as new."""
    fresh = KafkaSettings(servers, group_id=f"test-{uuid4().hex}", partitions=2)
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    if old := [topic for topic in await admin.list_topics() if not topic.startswith("__")]:
        await admin.delete_topics(old)
    await admin.close()
    await _until(lambda: _made(fresh))
    return fresh


class HeldEngine:
    """The engine, with inserts that wait until they are released."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.inserting, self.released = threading.Event(), threading.Event()

    def insert(self, signal: Signal, requests: Sequence[bytes], token: str) -> None:
        self.inserting.set()
        assert self.released.wait(60)
        self._engine.insert(signal, requests, token)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


@contextlib.asynccontextmanager
async def ingesting(engine: Engine, settings: KafkaSettings, counts: Counts | None = None) -> AsyncIterator[KafkaIngest]:
    ingest = KafkaIngest(engine, settings, SystemClock(), counts or Counts())
    running = asyncio.create_task(ingest.run())
    yield ingest
    ingest.stop()
    await running


async def test_what_the_bus_took_is_stored(engine: Engine, settings: KafkaSettings) -> None:
    bus = KafkaBus(settings, Limits())
    await bus.start()
    async with ingesting(engine, settings):
        await asyncio.gather(*(bus.publish("traces", request([Span("shop", SERVER)])) for _ in range(50)))
        await _until(lambda: _stored(engine, 50))
    await bus.close()
    assert _calls(engine) == 50


async def test_metrics_have_a_topic_of_their_own(engine: Engine, settings: KafkaSettings) -> None:
    message = ExportMetricsServiceRequest()
    metric = message.resource_metrics.add().scope_metrics.add().metrics.add(name="queue")
    metric.gauge.data_points.add(as_int=7, time_unix_nano=time.time_ns())
    bus = KafkaBus(settings, Limits())
    await bus.start()
    async with ingesting(engine, settings):
        await bus.publish("metrics", message.SerializeToString())
        await bus.publish("traces", request([Span("shop", SERVER)]))
        await _until(lambda: _values(engine, [7]))
        await _until(lambda: _stored(engine, 1))
    await bus.close()


async def test_a_group_continues_where_it_stopped(engine: Engine, settings: KafkaSettings) -> None:
    bus = KafkaBus(settings, Limits())
    await bus.start()
    for total in (3, 6):
        for _ in range(3):
            await bus.publish("traces", request([Span("shop", SERVER)]))
        async with ingesting(engine, settings):
            await _until(lambda total=total: _stored(engine, total))
    await bus.close()
    assert _calls(engine) == 6


@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "never arrived"])
async def test_a_plan_that_a_crash_left_is_finished_as_it_was(engine: Engine, settings: KafkaSettings, arrived: bool) -> None:
    partition = TopicPartition(TOPICS["traces"], 0)
    requests = [request([Span("shop", SERVER)]) for _ in range(10)]
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        for body in requests:
            await producer.send_and_wait(partition.topic, body, partition=0)
    await _plan(settings, partition, 2, 7)  # what stands there after a crash within the insert
    engine.insert("traces", requests[:2], f"{partition.topic}:0:0-2")
    if arrived:
        engine.insert("traces", requests[2:7], f"{partition.topic}:0:2-7")
    async with ingesting(engine, settings):
        await _until(lambda: _stored(engine, 10))
        await asyncio.sleep(1)  # what is counted twice would come now
    assert (_spans(engine), _calls(engine)) == (10, 10)


async def test_members_that_come_and_go_store_everything_once(engine: Engine, settings: KafkaSettings) -> None:
    bus = KafkaBus(settings, Limits())
    await bus.start()
    sent = 0
    async with ingesting(engine, settings):
        for _ in range(20):
            async with ingesting(engine, settings):
                for _ in range(10):
                    await bus.publish("traces", request([Span("shop", SERVER)]))
                    sent += 1
        await _until(lambda: _stored(engine, sent))
    await bus.close()
    assert (_spans(engine), _calls(engine)) == (sent, sent)


@pytest.mark.parametrize("again", ["leader", "follower"])
async def test_a_named_member_that_is_started_again_gets_its_partitions_back(
    engine: Engine, settings: KafkaSettings, caplog: pytest.LogCaptureFixture, again: str
) -> None:
    caplog.set_level("INFO", "collector.ingest_kafka")

    def assigned() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.getMessage().startswith("storing ")]

    bus = KafkaBus(settings, Limits())
    await bus.start()
    async with contextlib.AsyncExitStack() as stack:
        members = {}
        for count, name in enumerate(("leader", "follower"), 1):
            members[name] = await stack.enter_async_context(contextlib.AsyncExitStack())
            await members[name].enter_async_context(ingesting(engine, replace(settings, instance_id=name)))
            await _until(lambda count=count: _group_is(settings, "Stable", members=count))
        await _until(lambda: _true(len(assigned()) == 3))  # the leader alone, then both
        await members[again].aclose()
        await members[again].enter_async_context(ingesting(engine, replace(settings, instance_id=again)))
        await asyncio.gather(*(bus.publish("traces", request([Span("shop", SERVER)])) for _ in range(40)))
        await _until(lambda: _stored(engine, 40))
        *before, after = assigned()
        assert len(before) == 3
        assert after in before[1:]
    await bus.close()
    assert (_spans(engine), _calls(engine)) == (40, 40)


async def test_a_rebalance_in_the_middle_of_a_block_waits_for_it(engine: Engine, settings: KafkaSettings) -> None:
    bus = KafkaBus(settings, Limits())
    await bus.start()
    await asyncio.gather(*(bus.publish("traces", request([Span("shop", SERVER)])) for _ in range(10)))
    held = HeldEngine(engine)
    async with ingesting(held, settings):
        await _until(lambda: _true(held.inserting.is_set()))
        async with ingesting(engine, settings) as second:
            await _until(lambda: _group_is(settings, "PreparingRebalance"))
            assert (_spans(engine), second.lag.messages()) == (0, {})
            held.released.set()
            await asyncio.gather(*(bus.publish("traces", request([Span("shop", SERVER)])) for _ in range(10)))
            await _until(lambda: _stored(engine, 20))
    await bus.close()
    assert (_spans(engine), _calls(engine)) == (20, 20)


async def test_a_rebalance_while_a_plan_is_read_again_locks_nobody_up(engine: Engine, settings: KafkaSettings) -> None:
    partition = TopicPartition(TOPICS["traces"], 0)
    await _plan(settings, partition, 0, 5)
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        for _ in range(3):
            await producer.send_and_wait(partition.topic, request([Span("shop", SERVER)]), partition=0)
        async with ingesting(engine, settings):
            await _until(lambda: _group_is(settings, "Stable", members=1))
            # Whoever has the partition waits for two messages of the plan that are still missing.
            async with ingesting(engine, settings):
                await _until(lambda: _group_is(settings, "Stable", members=2))
                for _ in range(2):
                    await producer.send_and_wait(partition.topic, request([Span("shop", SERVER)]), partition=0)
                await _until(lambda: _stored(engine, 5))
    assert (_spans(engine), _calls(engine)) == (5, 5)


async def test_a_bad_message_is_put_aside_and_the_good_ones_are_stored(engine: Engine, settings: KafkaSettings) -> None:
    good = [request([Span("shop", SERVER)]) for _ in range(4)]
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        for body in (*good[:2], b"\x0a\xff\xffpoison", *good[2:]):
            await producer.send_and_wait(TOPICS["traces"], body, partition=0)
    counts = Counts()
    async with ingesting(engine, settings, counts):
        await _until(lambda: _stored(engine, 4))
        await _until(lambda: _true(counts.dead_letters["bad_block"] == 1))
    async with AIOKafkaConsumer(DEAD_LETTERS, bootstrap_servers=settings.bootstrap_servers, auto_offset_reset="earliest") as dead:
        letter = await asyncio.wait_for(dead.getone(), 20)
    headers = {name: value.decode() for name, value in letter.headers}
    assert letter.value == b"\x0a\xff\xffpoison"
    assert (headers["topic"], headers["partition"], headers["offset"]) == (TOPICS["traces"], "0", "2")
    assert "is not what it claims to be" in headers["reason"]


async def test_dead_letters_are_listed_once_and_sent_again(settings: KafkaSettings) -> None:
    body = request([Span("shop", SERVER)])
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        for offset in (5, 6, 6):  # a crash may repeat one
            origin = {"topic": TOPICS["traces"], "partition": "0", "offset": str(offset), "reason": "unreadable then"}
            headers = [(name, value.encode()) for name, value in origin.items()]
            await producer.send_and_wait(DEAD_LETTERS, body, headers=headers, partition=0)
    letters = [letter async for letter in dead_letters(settings)]
    assert [(letter.origin, letter.reason, letter.value) for letter in letters] == [
        (f"{TOPICS['traces']}:0:{offset}", "unreadable then", body) for offset in (5, 6)
    ]
    assert await replay(settings, [letters[1].origin]) == [letters[1].origin]
    reading = AIOKafkaConsumer(TOPICS["traces"], bootstrap_servers=settings.bootstrap_servers, auto_offset_reset="earliest")
    async with reading as again:
        assert (await asyncio.wait_for(again.getone(), 20)).value == body


async def test_what_memory_has_no_room_for_is_refused(settings: KafkaSettings) -> None:
    bus = KafkaBus(settings, Limits(in_flight_bytes=100))
    await bus.start()
    with pytest.raises(Busy, match="wait for Kafka"):
        await bus.publish("traces", bytes(101))
    await bus.close()


async def _plan(settings: KafkaSettings, partition: TopicPartition, start: int, end: int) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, group_id=settings.group_id, enable_auto_commit=False
    )
    await consumer.start()
    consumer.assign([partition])
    await consumer.commit({partition: OffsetAndMetadata(start, f"until={end}")})
    await consumer.stop()


async def _group_is(settings: KafkaSettings, state: str, members: int | None = None) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([settings.group_id])
        _, _, now, _, _, present, *_ = answer.groups[0]
        return now == state and members in (None, len(present))
    except GroupCoordinatorNotAvailableError:
        return False  # Kafka makes the groups' topic when the first one asks for it
    finally:
        await admin.close()


async def _made(settings: KafkaSettings) -> bool:
    with contextlib.suppress(Exception):  # topics that are being deleted cannot be made yet
        await make_topics(settings)
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
        await admin.start()
        try:
            described = await admin.describe_topics([*TOPICS.values(), DEAD_LETTERS])
            return all(len(topic["partitions"]) == settings.partitions for topic in described)
        finally:
            await admin.close()
    return False


async def _until(answers: Callable[[], Awaitable[bool]], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not await answers():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.1)


async def _true(answer: bool) -> bool:
    return answer


async def _stored(engine: Engine, count: int) -> bool:
    return _spans(engine) >= count


async def _values(engine: Engine, expected: list[int]) -> bool:
    return [row["value_int"] for row in engine.query("SELECT value_int FROM metric_points", {})] == expected


def _spans(engine: Engine) -> int:
    return int(engine.query("SELECT count() AS spans FROM spans", {})[0]["spans"])


def _calls(engine: Engine) -> int:
    return int(engine.query("SELECT sum(calls) AS total FROM golden_signals_10s", {})[0]["total"])
