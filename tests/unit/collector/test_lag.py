"""How far behind Kafka: messages and age, also of partitions that go to somebody else."""

from types import SimpleNamespace

from aiokafka import TopicPartition
from prometheus_client import generate_latest

from collector.counts import Counts
from collector.lag import Lag
from collector.metrics import published
from tests.fakes.manual_clock import ManualClock

ONE, OTHER = TopicPartition("otlp_spans", 0), TopicPartition("otlp_spans", 1)


def _record(at_s: float) -> SimpleNamespace:
    return SimpleNamespace(timestamp=int(at_s * 1000))


def _lag(now: float) -> Lag:
    lag = Lag(ManualClock(now))
    lag.assigned([ONE, OTHER])
    return lag


def test_a_block_that_is_refused_grows_old() -> None:
    lag = _lag(now=1000.0)
    lag.starts(ONE, 10)
    lag.reach({ONE: 15})
    assert (lag.messages(), lag.age_s(ONE)) == ({ONE: 5}, 0.0)
    lag.holds(ONE, 10, [_record(900.0), _record(950.0)])
    assert lag.age_s(ONE) == 100.0
    lag.stored(ONE, 12, newest_ms=950_000)
    assert (lag.messages(), lag.age_s(ONE)) == ({ONE: 3}, 50.0)
    lag.stored(ONE, 15, newest_ms=960_000)
    assert (lag.messages(), lag.age_s(ONE)) == ({ONE: 0}, 0.0)


def test_what_goes_to_somebody_else_is_forgotten() -> None:
    lag = _lag(now=1000.0)
    for partition in (ONE, OTHER):
        lag.starts(partition, 0)
    lag.reach({ONE: 5, OTHER: 7})
    lag.assigned([OTHER])
    assert lag.messages() == {OTHER: 7}


def test_metrics_are_prometheus_text() -> None:
    lag, counts = _lag(now=1000.0), Counts()
    lag.starts(ONE, 0)
    lag.reach({ONE: 5})
    counts.refused_requests["busy"] += 2
    text = generate_latest(published(counts, [lag])).decode()
    assert 'meshscope_ingest_lag_messages{partition="0",topic="otlp_spans"} 5.0' in text
    assert 'meshscope_refused_requests_total{reason="busy"} 2.0' in text
    assert "process_resident_memory_bytes" in text
