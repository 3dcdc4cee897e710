"""What we ask of aiokafka behind its back still takes effect."""

from aiokafka.codec import lz4_decode, lz4_encode
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from collector.kafka import TOPICS
from tests.fakes.spans import SERVER, Span, request

LZ4, HEADER_BYTES = 3, 61  # of a record batch, version 2


def test_batches_are_compressed_at_the_cheap_level() -> None:
    assert TOPICS  # importing it is what sets the level
    value = request(Span("shop", SERVER) for _ in range(200))
    builder = DefaultRecordBatchBuilder(2, LZ4, 0, -1, -1, -1, 2**20)
    builder.append(0, timestamp=0, key=None, value=value, headers=[])
    compressed = bytes(builder.build())[HEADER_BYTES:]
    records = lz4_decode(compressed)
    assert value in records
    assert compressed == lz4_encode(records, level=0)
    assert len(compressed) > len(lz4_encode(records))
