"""Our batches of records are what aiokafka's reader expects of Kafka's, and no larger than they are told to be."""

import random

from aiokafka import AIOKafkaProducer
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from collector.record_batch import RecordBatch, compress_as_filled

LZ4 = 3

_RECORDS = st.lists(
    st.tuples(st.integers(-5_000, 5_000), st.one_of(st.binary(max_size=200), st.integers(0, 200_000).map(lambda n: b"x" * n))),
    min_size=1,
    max_size=8,
)


@given(_RECORDS, st.integers(5_000, 2**40))
def test_what_goes_in_comes_out(records: list[tuple[int, bytes]], start_ms: int) -> None:
    batch = RecordBatch(2_000_000)
    for number, (after_ms, value) in enumerate(records):
        appended = batch.append(timestamp=start_ms + after_ms, key=None, value=value, headers=[])
        assert appended == (number, start_ms + after_ms)
    batch._set_producer_state(producer_id=7, producer_epoch=1, base_sequence=42)
    built = batch._build()
    assert batch._build() is built
    read = MemoryRecords(built)
    kafkas = read.next_batch()
    assert kafkas.validate_crc()
    assert (kafkas.producer_id, kafkas.producer_epoch, kafkas.base_sequence) == (7, 1, 42)
    assert (kafkas.magic, kafkas.compression_type) == (2, LZ4)
    times = [start_ms + after_ms for after_ms, _ in records]
    assert kafkas.max_timestamp == max(times)
    found = [(record.offset, record.timestamp, record.key, bytes(record.value), list(record.headers)) for record in kafkas]
    expected = [(n, time, None, value, []) for n, (time, (_, value)) in enumerate(zip(times, records, strict=True))]
    assert found == expected
    assert not read.has_next()


def test_a_batch_takes_what_it_was_told_and_one_that_is_larger() -> None:
    batch = RecordBatch(100)
    assert batch.append(timestamp=0, key=None, value=bytes(1_000), headers=[])
    assert batch.append(timestamp=0, key=None, value=b"x", headers=[]) is None
    batch = RecordBatch(100)
    for number in range(100):
        assert not batch.closed()
        assert batch.append(timestamp=0, key=None, value=b"x", headers=[]) == (number, 0)
    assert batch.append(timestamp=0, key=None, value=b"x", headers=[]) is None
    assert batch.closed()
    assert (batch.size(), batch.record_count()) == (100, 100)


def test_text_gets_smaller() -> None:
    batch = RecordBatch(2_000_000)
    text = "".join(random.Random(1).choices(["a word ", "another ", "one more "], k=20_000)).encode()
    batch.append(timestamp=None, key=None, value=text, headers=[])
    assert len(batch._build()) < len(text) / 3


async def test_the_producer_fills_these() -> None:
    """aiokafka makes the batches of single messages itself; what replaces them must not be passed by unnoticed."""
    producer = AIOKafkaProducer()
    compress_as_filled(producer, 1_000)
    try:
        assert isinstance(producer.create_batch(), RecordBatch)
    finally:
        await producer.stop()
