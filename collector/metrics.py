"""Metrics: what was counted and what can be read off now, in Prometheus' form."""

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.counts import Counts
from collector.readings import Gauged

PREFIX = "meshscope_"

COUNTED: dict[str, tuple[str, str]] = {
    "accepted_requests": ("signal", "OTLP requests that were answered with success."),
    "accepted_items": ("signal", "Spans, log records or metrics in them."),
    "repeated_requests": ("signal", "Accepted requests that were sent again and are stored once."),
    "refused_requests": ("reason", "OTLP requests that were refused."),
    "refused_rows": ("signal", "Spans, log records or data points refused of requests that were accepted otherwise."),
    "committed_blocks": ("signal", "Blocks of requests that the store has committed."),
    "stored_requests": ("signal", "Requests from Kafka that the store has committed."),
    "stored_bytes": ("signal", "Bytes of these requests."),
    "store_retries": ("reason", "Times that the store refused a block from Kafka, which was then tried again."),
    "dead_letters": ("reason", "Messages from Kafka that nobody could read."),
    "dropped_days": ("table", "Days of telemetry that were dropped to keep within the budget of bytes."),
}
"""The counts by name, with what tells those of one name apart, and what they count."""


class _Published(Collector):
    def __init__(self, counts: Counts, gauged: Sequence[Gauged]) -> None:
        self._counts, self._gauged = counts, gauged

    def collect(self) -> Iterator[Metric]:
        counts = self._counts.as_dict()
        for name, (label, meaning) in COUNTED.items():
            counter = CounterMetricFamily(PREFIX + name, meaning, labels=[label])
            for value, count in sorted(counts[name].items()):
                counter.add_metric([value], count)
            yield counter
        gauges: dict[str, GaugeMetricFamily] = {}
        for reading in (each for part in self._gauged for each in part.readings()):
            if reading.name not in gauges:
                gauges[reading.name] = GaugeMetricFamily(PREFIX + reading.name, reading.meaning, labels=list(reading.labels))
            gauges[reading.name].add_metric(list(reading.labels.values()), reading.value)
        yield from gauges.values()


def published(counts: Counts, gauged: Sequence[Gauged]) -> CollectorRegistry:
    """Return all metrics, this process's memory and CPU time among them; their values are read when they are asked for."""
    registry = CollectorRegistry()
    registry.register(_Published(counts, gauged))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
