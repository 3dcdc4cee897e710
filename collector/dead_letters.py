"""Dead letters: messages that nobody could read, kept with where they came from and why, and sent again when asked."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from collector.kafka import DEAD_LETTERS, MESSAGE_BYTES, TOPICS, KafkaSettings


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that was put aside; ``origin`` is ``topic:partition:offset``."""

    origin: str
    reason: str
    value: bytes
    put_aside: datetime

    @property
    def topic(self) -> str:
        """Return the topic that it came from."""
        return self.origin.partition(":")[0]


async def dead_letters(settings: KafkaSettings) -> AsyncIterator[DeadLetter]:
    """Yield every dead letter that Kafka holds now, the oldest of each partition first; a repeated one only once."""
    consumer = AIOKafkaConsumer(**settings.client(), max_partition_fetch_bytes=MESSAGE_BYTES)
    await consumer.start()
    try:
        partitions = await _partitions(settings)
        consumer.assign(partitions)
        seen: set[str] = set()
        starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.seek(partition, starts[partition])
            while await consumer.position(partition) < ends[partition]:
                for record in (await consumer.getmany(partition, timeout_ms=500)).get(partition, []):
                    letter = _letter(record)
                    if letter.origin not in seen:
                        seen.add(letter.origin)
                        yield letter
    finally:
        await consumer.stop()


async def replay(settings: KafkaSettings, origins: Collection[str]) -> list[str]:
    """Send the named letters to their topics again, all if none is named; return the origins of those that were sent.

    They stay among the dead letters: what still cannot be read comes back under a new origin.
    """
    sent: list[str] = []
    async with AIOKafkaProducer(
        **settings.client(), enable_idempotence=True, acks="all", compression_type="lz4", max_request_size=MESSAGE_BYTES
    ) as producer:
        async for letter in dead_letters(settings):
            if (not origins or letter.origin in origins) and letter.topic in TOPICS.values():
                await producer.send_and_wait(letter.topic, letter.value)
                sent.append(letter.origin)
    return sent


async def _partitions(settings: KafkaSettings) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(**settings.client())
    await admin.start()
    try:
        (topic,) = await admin.describe_topics([DEAD_LETTERS])
        return sorted(TopicPartition(DEAD_LETTERS, each["partition"]) for each in topic["partitions"])
    finally:
        await admin.close()


def _letter(record: ConsumerRecord) -> DeadLetter:
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    return DeadLetter(
        origin=f"{headers['topic']}:{headers['partition']}:{headers['offset']}",
        reason=headers["reason"],
        value=record.value,
        put_aside=datetime.fromtimestamp(record.timestamp / 1000, UTC),
    )
