"""Collects, a Kafka, ingests and a ClickHouse server, all processes of their own, under load; and what must be stored of it."""

import asyncio
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from storage.telemetry.engine_clickhouse import open_server
from tests.fakes.clickhouse import ClickHouse
from tests.fakes.kafka import Kafka, lag
from tests.fakes.processes import Process, free_port, until
from tests.fakes.spans import SERVER, Span, request

ALONE = "alone"
"""The group of an ingest that has its store within it, and its data directory."""

SPANS = 20
"""In each request; they are one trace."""


class Collect(Process):
    """`meshscope collect`; started again it listens where it did."""

    def __init__(self, log: Path, servers: str, *, port: int | None = None, settings: tuple[str, ...] = ()) -> None:
        self.port, self.grpc_port, self.metrics_port = port or free_port(), free_port(), free_port()
        self.traces_url = f"http://127.0.0.1:{self.port}/v1/traces"
        ports = {"otlp-http": self.port, "otlp-grpc": self.grpc_port, "collect-metrics": self.metrics_port}
        told = [part for name, number in ports.items() for part in (f"--{name}-port", str(number))]
        super().__init__(
            log, "env", *settings, sys.executable, "-m", "cli", "collect", "--kafka-bootstrap-servers", servers, *told
        )

    def ready(self) -> bool:
        self.check()
        return httpx.get(self.traces_url).status_code == 405


class Ingest(Process):
    """`meshscope ingest`; ``store`` is what it is told of the store."""

    def __init__(self, log: Path, servers: str, *store: str, settings: tuple[str, ...] = ()) -> None:
        self.metrics_port = free_port()
        told = ("--kafka-bootstrap-servers", servers, "--ingest-metrics-port", str(self.metrics_port), *store)
        super().__init__(log, "env", *settings, sys.executable, "-m", "cli", "ingest", *told)

    def stores(self) -> bool:
        self.check()
        return "storing otlp_" in self.said()


class Once(threading.Thread):
    """Sends requests of its own making, each of them once; keeps which were answered."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self.answered: dict[str, bool] = {}
        """By trace id; False: there was no answer, so that it may be stored or not."""
        self.refused = 0
        self.stopping = threading.Event()

    def answers(self) -> int:
        """Return how many requests were answered so far."""
        return sum(list(self.answered.values()))

    def run(self) -> None:
        with httpx.Client(timeout=40, headers={"content-type": "application/x-protobuf"}) as client:
            while not self.stopping.is_set():
                trace_id = random.randbytes(16)
                body = request(Span("load", SERVER, trace_id=trace_id) for _ in range(SPANS))
                try:
                    answer = client.post(self._url, content=body)
                except httpx.HTTPError:
                    self.answered[trace_id.hex()] = False
                    time.sleep(0.05)
                    continue
                assert answer.status_code in (200, 429, 503), answer.content
                self.answered[trace_id.hex()] = answer.is_success
                self.refused += not answer.is_success


class KafkaMesh:
    """Two collects and two ingests with Kafka between them, on one store."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.kafka = Kafka(home / "kafka")
        self.kafka.up()
        self.store = ClickHouse(home / "store").until_ready()
        self.store_url = f"http://127.0.0.1:{self.store.server.port}"
        self._started = 0
        self.collects = [self.collect() for _ in range(2)]
        self.ingests = [self.ingest() for _ in range(2)]
        self.senders: list[Once] = []
        self._alone: list[Ingest] = []

    def collect(self, port: int | None = None) -> Collect:
        return Collect(self._log("collect"), self.kafka.servers, port=port)

    def ingest(self) -> Ingest:
        return Ingest(self._log("ingest"), self.kafka.servers, "--clickhouse-url", self.store_url)

    def ingest_alone(self) -> Ingest:
        """Start one in a group of its own, with its store within it: it stores everything once more."""
        group, data = (f"MESHSCOPE_KAFKA_GROUP_ID={ALONE}",), str(self.home / ALONE)
        self._alone.append(Ingest(self._log("ingest"), self.kafka.servers, "--data-dir", data, settings=group))
        return self._alone[-1]

    def _log(self, name: str) -> Path:
        self._started += 1
        return self.home / f"{name}-{self._started}.log"

    @contextmanager
    def load(self) -> Iterator[list[Once]]:
        """Send to both collects while the block runs; a sender gets an answer, or gives up, before it ends."""
        for collect in self.collects:
            until("collect being ready", collect.ready)
        for ingest in self.ingests:
            until("ingest storing", ingest.stores)
        senders = [Once(collect.traces_url) for collect in self.collects]
        self.senders += senders
        for sender in senders:
            sender.start()
        try:
            yield senders
        finally:
            for sender in senders:
                sender.stopping.set()
            for sender in senders:
                sender.join(60)

    def answered(self) -> int:
        """Return how many requests were answered so far, also while the load lasts."""
        return sum(sender.answers() for sender in self.senders)

    def until_stored(self, group: str) -> None:
        """Wait until nothing waits on Kafka for a group."""
        until("everything being stored", lambda: asyncio.run(lag(self.kafka.servers, group)) == 0, 120)

    def must_have_stored_once(self) -> int:
        """Wait until nothing waits on Kafka; then each answered request is stored once, in every table, and none twice.

        Returns how many spans are stored.
        """
        self.until_stored("meshscope")
        engine = open_server(self.store.server)
        stored = {row["trace"]: row for row in engine.query(_BY_TRACE, {})}
        sent = {trace: answered for sender in self.senders for trace, answered in sender.answered.items()}
        lost = [trace for trace, answered in sent.items() if answered and trace not in stored]
        wrong = [row for row in stored.values() if (row["spans"], row["distinct_spans"]) != (SPANS, SPANS)]
        assert (lost, wrong, stored.keys() - sent.keys()) == ([], [], set())
        total = len(stored) * SPANS
        assert engine.query("SELECT sum(spans) AS spans FROM trace_index", {}) == [{"spans": total}]
        rollups = [row["table"] for row in engine.query(_ROLLUPS, {})]
        calls = {table: engine.query(f"SELECT sum(calls) AS calls FROM {table}", {})[0]["calls"] for table in rollups}
        engine.close()
        assert calls
        assert calls == dict.fromkeys(calls, total)
        return total

    def stop(self) -> None:
        for process in (*self.collects, *self.ingests, *self._alone, self.store):
            process.kill()
        self.kafka.down()


_BY_TRACE = """
SELECT lower(hex(trace_id)) AS trace, count() AS spans, uniqExact(span_id) AS distinct_spans FROM spans GROUP BY trace_id
"""
_ROLLUPS = """
SELECT table FROM system.columns
WHERE database = currentDatabase() AND table LIKE 'golden_signals%' AND name = 'calls'
"""


def metrics(port: int) -> dict[str, float]:
    """Return what a process publishes, by name and labels as Prometheus writes them."""
    lines = httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}


def total(values: dict[str, Any], name: str) -> float:
    """Return the sum over all labels."""
    return sum(value for each, value in values.items() if each.partition("{")[0] == name)
