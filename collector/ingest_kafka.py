"""Ingest: from Kafka to the store, each request once.

A block is a contiguous range of one partition's offsets. Before the insert, the range's start is committed with its planned
end in the commit's metadata; then the range is inserted with a token made of topic, partition and range; then its end is
committed. Who owns the partition after a crash or a rebalance finds the plan and inserts that very range with that very
token, which the store drops if it had arrived. A range is never re-cut: other borders would make another token.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from functools import partial

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, OffsetAndMetadata, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from collector.admission import Limits, Malformed, TooLarge
from collector.counts import Counts
from collector.insist import insist
from collector.kafka import DEAD_LETTERS, MESSAGE_BYTES, TOPICS, KafkaSettings
from collector.look import check
from core.clock import Clock
from core.wire import delimited
from storage.telemetry.engine import BadBlock, Engine, Signal

log = logging.getLogger(__name__)

BLOCK_BYTES = 8 * 1024 * 1024
POLL_MS = 300
PAUSE_S = 1.0
_PLAN = "until="
_SIGNALS: dict[str, Signal] = {topic: signal for signal, topic in TOPICS.items()}


class KafkaIngest(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """Stores what a consumer group's share of the partitions holds."""

    def __init__(self, engine: Engine, settings: KafkaSettings, clock: Clock, limits: Limits, counts: Counts) -> None:
        self._engine, self._settings, self._clock, self._limits, self._counts = engine, settings, clock, limits, counts
        self._storing = asyncio.Lock()
        self._unsettled: set[TopicPartition] = set()
        self._stopping = False
        self._consumer = AIOKafkaConsumer(
            **settings.client(),
            group_id=settings.group_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            max_partition_fetch_bytes=BLOCK_BYTES,
            fetch_max_bytes=4 * BLOCK_BYTES,
            max_poll_interval_ms=600_000,
            # The least that brokers allow: partitions of a process that died lie idle for so long.
            session_timeout_ms=6_000,
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
        records = await self._consumer.getmany(timeout_ms=POLL_MS)
        async with self._storing:
            await self._settle()
            for partition, range_ in records.items():
                await self._store_next(partition, range_)

    def stop(self) -> None:
        """End ``run`` after the block under way."""
        self._stopping = True

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Note that these partitions may have a plan that somebody did not finish."""
        log.info(
            "storing %s",
            ", ".join(f"{each.topic}/{each.partition}" for each in sorted(assigned)) or "nothing: others have it all",
        )
        self._unsettled |= set(assigned)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Finish the block under way before somebody else takes over."""
        async with self._storing:
            self._unsettled -= set(revoked)

    async def _settle(self) -> None:
        """Finish the plans of partitions that are new here; records read of them before are read again."""
        for partition in sorted(self._unsettled):
            committed = await self._admin.list_consumer_group_offsets(self._settings.group_id, partitions=[partition])
            offset, metadata = committed[partition].offset, committed[partition].metadata or ""
            if offset >= 0 and metadata.startswith(_PLAN):
                end = int(metadata.removeprefix(_PLAN))
                log.info("finishing offsets %d to %d of %s", offset, end, partition)
                await self._insert(partition, offset, end, await self._read(partition, offset, end))
                await self._consumer.commit({partition: OffsetAndMetadata(end, "")})
                self._consumer.seek(partition, end)
            elif offset >= 0:
                self._consumer.seek(partition, offset)
            else:
                self._consumer.seek(partition, (await self._consumer.beginning_offsets([partition]))[partition])
            self._unsettled.discard(partition)

    async def _read(self, partition: TopicPartition, start: int, end: int) -> list[ConsumerRecord]:
        """Read a range again, whole."""
        self._consumer.seek(partition, start)
        records: list[ConsumerRecord] = []
        while await self._consumer.position(partition) < end:
            for batch in (await self._consumer.getmany(partition, timeout_ms=POLL_MS)).values():
                records += [record for record in batch if record.offset < end]
        return records

    async def _store_next(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        if await self._is_stale(partition, records):
            return
        start, end = records[0].offset, records[-1].offset + 1
        await self._consumer.commit({partition: OffsetAndMetadata(start, f"{_PLAN}{end}")})
        await self._insert(partition, start, end, records)
        await self._consumer.commit({partition: OffsetAndMetadata(end, "")})

    async def _is_stale(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> bool:
        """Return whether the partition has moved since the records were read: taken away, or set back by a plan."""
        return partition not in self._consumer.assignment() or await self._consumer.position(partition) != records[-1].offset + 1

    async def _insert(self, partition: TopicPartition, start: int, end: int, records: Sequence[ConsumerRecord]) -> None:
        token = f"{partition.topic}:{partition.partition}:{start}-{end}"
        signal = _SIGNALS[partition.topic]
        requests = [record.value for record in records if record.value]
        try:
            await self._insist(signal, delimited(requests), token)
        except BadBlock:
            good = [record.value for record in records if record.value and not await self._is_dead(signal, record)]
            # What is good of a range is the same each time, so that the range's token still fits.
            await self._insist(signal, delimited(good), token)
        self._counts.committed_blocks[signal] += 1

    async def _insist(self, signal: Signal, block: bytes, token: str) -> None:
        step = partial(self._engine.insert, signal, block, token)
        await insist(step, self._clock, what=f"the range {token}", give_up=lambda: self._stopping)

    async def _is_dead(self, signal: Signal, record: ConsumerRecord) -> bool:
        """Return whether nobody can read the record; if so, put it aside with the reason, where it can be replayed from."""
        try:
            check(signal, record.value, self._limits)
            return False
        except (Malformed, TooLarge) as fault:
            origin = {"topic": record.topic, "partition": record.partition, "offset": record.offset, "reason": str(fault)}
            headers = [(name, str(value).encode()) for name, value in origin.items()]
            key = f"{record.topic}:{record.partition}:{record.offset}".encode()
            await self._dead_letters.send_and_wait(DEAD_LETTERS, record.value, key=key, headers=headers)
            self._counts.dead_letters[fault.code] += 1
            return True
