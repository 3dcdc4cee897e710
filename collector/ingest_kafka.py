"""Ingest: from Kafka to the store, each request once.

A block is a contiguous range of one partition's offsets. Before the insert, the range's start is committed with its planned
end in the commit's metadata; then the range is inserted with a token made of topic, partition and range; then its end is
committed. Who owns the partition after a crash or a rebalance finds the plan and inserts that very range with that very
token, which the store drops if it had arrived. A range is never re-cut: other borders would make another token.

One block at a time is held in memory. While the store takes it nothing more is read, and aiokafka fetches no partition of
which something is unread: what this process holds is bounded, however much Kafka holds.
"""

import asyncio
import logging
from collections.abc import Collection, Iterator, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, OffsetAndMetadata, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from collector.counts import Counts
from collector.insist import insist
from collector.kafka import DEAD_LETTERS, MESSAGE_BYTES, TOPICS, KafkaSettings
from collector.lag import Lag
from collector.readings import Reading
from core.clock import Clock
from core.faults import Fault
from storage.telemetry.engine import BadBlock, Engine, Signal

log = logging.getLogger(__name__)

BLOCK_BYTES = 16 * 1024 * 1024
"""A block is complete as soon as it has so many bytes, or nothing more is there."""

FETCH_BYTES, FETCH_AT_ONCE_BYTES = 4 * 1024 * 1024, 16 * 1024 * 1024
"""Compressed: of one partition, and of all together."""

FETCH_AT_LEAST_BYTES, FETCH_WAIT_MS = 512 * 1024, 500
"""A broker answers when it has so much, or after so long: few large blocks cost the store less than many small ones."""

SESSION_MS, NAMED_SESSION_MS = 6_000, 45_000
"""So long do the partitions of a process that is gone lie idle: the least that brokers allow, or enough to start it again."""

POLL_MS = 300
PAUSE_S = 1.0
WATCH_S = 5.0
_PLAN = "until="
_SIGNALS: dict[str, Signal] = {topic: signal for signal, topic in TOPICS.items()}


class KafkaIngest(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """Stores what a consumer group's share of the partitions holds."""

    def __init__(self, engine: Engine, settings: KafkaSettings, clock: Clock, counts: Counts) -> None:
        self._engine, self._settings, self._clock, self._counts = engine, settings, clock, counts
        self._storing = asyncio.Lock()
        self._held_bytes = 0
        self._refused = False
        self.lag = Lag(clock)
        self._unsettled: set[TopicPartition] = set()
        self._assignments = 0
        self._stopping = False
        self._consumer = AIOKafkaConsumer(
            **settings.client(),
            group_id=settings.group_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=FETCH_AT_ONCE_BYTES,
            fetch_min_bytes=FETCH_AT_LEAST_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_poll_interval_ms=600_000,
            group_instance_id=settings.instance_id,
            session_timeout_ms=NAMED_SESSION_MS if settings.instance_id else SESSION_MS,
            heartbeat_interval_ms=1_500,
        )
        self._admin = AIOKafkaAdminClient(**settings.client())
        self._dead_letters = AIOKafkaProducer(
            **settings.client(),
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            max_request_size=MESSAGE_BYTES + 500_000,
        )

    def __repr__(self) -> str:
        return f"<KafkaIngest {self._settings.group_id} unsettled={sorted(self._unsettled)}>"

    async def run(self) -> None:
        """Store until ``stop`` is called."""
        await self._admin.start()
        await self._dead_letters.start()
        await self._consumer.start()
        self._consumer.subscribe(list(TOPICS.values()), listener=self)
        try:
            while not self._stopping:
                try:
                    await self._step()
                except KafkaError as error:
                    # A commit that fails leaves its plan: whoever owns the partition now finishes it, perhaps this process.
                    log.warning("Kafka refuses; trying again in %.0f s: %s", PAUSE_S, error)
                    self._unsettled |= self._consumer.assignment()
                    await self._clock.sleep(PAUSE_S)
        finally:
            await self._consumer.stop()
            await self._dead_letters.stop()
            await self._admin.close()

    async def _step(self) -> None:
        for partition in sorted(self._unsettled):
            await self._settle(partition)
        first = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=1)
        for partition, records in first.items():
            block = await self._complete(partition, records)
            async with self._storing:
                if not await self._is_stale(partition, block):
                    await self._store(partition, block)

    async def _complete(self, partition: TopicPartition, records: list[ConsumerRecord]) -> list[ConsumerRecord]:
        """Return the records and those after them that are here, until they are a block."""
        size = _bytes_of(records)
        while size < BLOCK_BYTES:
            room = (BLOCK_BYTES - size) * len(records) // max(size, 1) + 1
            more = await self._consumer.getmany(partition, timeout_ms=0, max_records=room)
            if partition not in more:
                break
            records += more[partition]
            size += _bytes_of(more[partition])
        return records

    def stop(self) -> None:
        """End ``run`` after the block under way."""
        self._stopping = True

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Note that these partitions may have a plan that somebody did not finish."""
        log.info(
            "storing %s",
            ", ".join(f"{each.topic}/{each.partition}" for each in sorted(assigned)) or "nothing: others have it all",
        )
        self._assignments += 1
        self._unsettled |= set(assigned)
        self.lag.assigned(assigned)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Finish the block under way before somebody else takes over."""
        async with self._storing:
            self._assignments += 1
            self._unsettled -= set(revoked)

    async def _settle(self, partition: TopicPartition) -> None:
        """Finish the plan that stands at a partition that is new here, and go on behind it; what was read before is read again.

        Nothing is read from Kafka while ``_storing`` is held: during a rebalance reading waits for those who give up partitions,
        and they wait for the block under way.
        """
        assignments = self._assignments
        committed = await self._admin.list_consumer_group_offsets(self._settings.group_id, partitions=[partition])
        offset, metadata = committed[partition].offset, committed[partition].metadata or ""
        planned = int(metadata.removeprefix(_PLAN)) if offset >= 0 and metadata.startswith(_PLAN) else None
        records = await self._read(partition, offset, planned) if planned else []
        if offset < 0:
            offset = (await self._consumer.beginning_offsets([partition]))[partition]
        async with self._storing:
            if assignments != self._assignments:
                return  # somebody else may have gone on from there meanwhile
            if planned:
                log.info("finishing offsets %d to %d of %s", offset, planned, partition)
                await self._insert(partition, offset, planned, records)
                await self._consumer.commit({partition: OffsetAndMetadata(planned, "")})
            self._consumer.seek(partition, planned or offset)
            self.lag.starts(partition, planned or offset)
            self._unsettled.discard(partition)

    async def _read(self, partition: TopicPartition, start: int, end: int) -> list[ConsumerRecord]:
        """Read a range again, whole."""
        self._consumer.seek(partition, start)
        records: list[ConsumerRecord] = []
        while await self._consumer.position(partition) < end:
            for batch in (await self._consumer.getmany(partition, timeout_ms=POLL_MS)).values():
                records += [record for record in batch if record.offset < end]
        return records

    async def _is_stale(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> bool:
        """Return whether the partition has moved since the records were read: taken away, given anew, or set back by a plan."""
        return (
            partition in self._unsettled
            or partition not in self._consumer.assignment()
            or await self._consumer.position(partition) != records[-1].offset + 1
        )

    async def _store(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        start, end = records[0].offset, records[-1].offset + 1
        await self._consumer.commit({partition: OffsetAndMetadata(start, f"{_PLAN}{end}")})
        await self._insert(partition, start, end, records)
        await self._consumer.commit({partition: OffsetAndMetadata(end, "")})

    async def _insert(self, partition: TopicPartition, start: int, end: int, records: Sequence[ConsumerRecord]) -> None:
        full = [record for record in records if record.value]
        self._held_bytes = _bytes_of(full)
        self.lag.holds(partition, start, records)
        if full:
            token = f"{partition.topic}:{partition.partition}:{start}-{end}"
            await self._insert_readable(_SIGNALS[partition.topic], full, token)
        self.lag.stored(partition, end, records[-1].timestamp if records else None)
        self._held_bytes = 0

    async def _insert_readable(self, signal: Signal, records: Sequence[ConsumerRecord], token: str) -> None:
        """Insert the records with the token; what nobody can read of them is searched by halves and put aside.

        What is unreadable is so each time: a replay finds the halves' tokens again.
        """
        try:
            await self._insist(signal, [record.value for record in records], token)
        except BadBlock as bad:
            if len(records) == 1:
                await self._put_aside(records[0], bad)
                return
            for half in (records[: len(records) // 2], records[len(records) // 2 :]):
                await self._insert_readable(signal, half, f"{token}/{half[0].offset}-{half[-1].offset + 1}")
        else:
            self._counts.committed_blocks[signal] += 1
            self._counts.stored_requests[signal] += len(records)
            self._counts.stored_bytes[signal] += _bytes_of(records)

    async def _insist(self, signal: Signal, requests: Sequence[bytes], token: str) -> None:
        def step() -> None:
            try:
                self._engine.insert(signal, requests, token)
            except Fault as fault:
                if fault.retryable:
                    self._refused = True
                    self._counts.store_retries[fault.code] += 1
                raise
            self._refused = False

        await insist(step, self._clock, what=f"the range {token}", give_up=lambda: self._stopping)

    async def _put_aside(self, record: ConsumerRecord, why: BadBlock) -> None:
        """Send what nobody can read to the dead letters, with the reason, where it can be replayed from."""
        origin = {"topic": record.topic, "partition": record.partition, "offset": record.offset, "reason": str(why)}
        headers = [(name, str(value).encode()) for name, value in origin.items()]
        key = f"{record.topic}:{record.partition}:{record.offset}".encode()
        await self._dead_letters.send_and_wait(DEAD_LETTERS, record.value, key=key, headers=headers)
        log.warning("put aside %s, offset %d: %s", record.topic, record.offset, why)
        self._counts.dead_letters[why.code] += 1

    async def watch(self) -> None:
        """Ask Kafka every few seconds how far the assigned partitions reach, until cancelled."""
        while True:
            assigned = self._consumer.assignment() - self._unsettled
            try:
                self.lag.reach(await self._consumer.end_offsets(assigned) if assigned else {})
            except KafkaError as error:
                log.warning("Kafka does not say how far it reaches: %s", error)
            await self._clock.sleep(WATCH_S)

    def readings(self) -> Iterator[Reading]:
        """Yield what can be read off now."""
        yield Reading("ingest_held_bytes", "Bytes of the block that is being stored.", self._held_bytes)
        yield Reading("ingest_store_refuses", "1 while the store refuses the block that is being stored.", int(self._refused))
        waiting = sum(map(bool, self.lag.messages().values())) if self._held_bytes else 0
        yield Reading("ingest_paused_partitions", "Partitions of which nothing is read while a block is being stored.", waiting)
        yield from self.lag.readings()


def _bytes_of(records: Sequence[ConsumerRecord]) -> int:
    return sum(len(record.value or b"") for record in records)
