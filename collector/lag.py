"""How far storing is behind Kafka: messages, and the age of the oldest that is not stored."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from aiokafka import ConsumerRecord, TopicPartition

from collector.readings import Reading
from core.clock import Clock


class Lag:
    """Keeps, for each assigned partition, where it ends, how far it is stored, and from when the oldest unstored message is.

    A partition of which nothing was read since it was assigned has a lag as soon as Kafka says how far it reaches, and an age
    from its first block on: how old a message is stands in the message only.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends: dict[TopicPartition, int] = {}
        self._stored: dict[TopicPartition, int] = {}
        self._oldest_ms: dict[TopicPartition, int] = {}

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Forget what is somebody else's now."""
        for kept in (self._ends, self._stored, self._oldest_ms):
            for partition in kept.keys() - set(partitions):
                del kept[partition]

    def starts(self, partition: TopicPartition, offset: int) -> None:
        """Note where storing goes on."""
        self._stored[partition] = offset

    def holds(self, partition: TopicPartition, start: int, records: Sequence[ConsumerRecord]) -> None:
        """Note the block that is being stored."""
        self._stored[partition] = start
        if records:
            self._oldest_ms[partition] = records[0].timestamp

    def stored(self, partition: TopicPartition, end: int, newest_ms: int | None = None) -> None:
        """Note that all before ``end`` is stored; what follows is not older than the newest of it."""
        self._stored[partition] = end
        if newest_ms is not None:
            self._oldest_ms[partition] = newest_ms

    def reach(self, ends: Mapping[TopicPartition, int]) -> None:
        """Note how far the partitions reach."""
        self._ends |= ends

    def messages(self) -> dict[TopicPartition, int]:
        """Return the lag of each partition in messages, as of Kafka's last word."""
        return {each: max(end - self._stored[each], 0) for each, end in self._ends.items() if each in self._stored}

    def age_s(self, partition: TopicPartition) -> float:
        """Return how old the oldest unstored message of a partition is at most; 0 if none is known; seconds."""
        if not self.messages().get(partition) or partition not in self._oldest_ms:
            return 0.0
        return max(self._clock.now() - self._oldest_ms[partition] / 1000, 0.0)

    def readings(self) -> Iterator[Reading]:
        """Yield lag and age of each partition (see Gauged)."""
        for partition, messages in sorted(self.messages().items()):
            labels = {"topic": partition.topic, "partition": str(partition.partition)}
            yield Reading("ingest_lag_messages", "Messages on Kafka that are not stored.", messages, labels)
            yield Reading("ingest_lag_seconds", "Age of the oldest of them, at most.", self.age_s(partition), labels)
