"""Load for tests of faults: senders that do as OTLP exporters do, and what must be stored of what they were answered for."""

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.fakes.spans import CLIENT, SERVER, Span, request

ITEMS = 20
"""How many spans, log records or points one request has."""


def single_spans() -> bytes:
    return request(Span("load", SERVER) for _ in range(ITEMS))


def pairs() -> bytes:
    """Calls from one service to another, the caller's span and the callee's."""
    callers = [Span("caller", CLIENT) for _ in range(ITEMS // 2)]
    return request([*callers, *(Span("load", SERVER, parent=caller) for caller in callers)])


def log_records() -> bytes:
    message = ExportLogsServiceRequest()
    records = message.resource_logs.add().scope_logs.add().log_records
    for _ in range(ITEMS):
        records.add(time_unix_nano=time.time_ns(), trace_id=random.randbytes(16)).body.string_value = "something happened"
    return message.SerializeToString()


def points() -> bytes:
    message = ExportMetricsServiceRequest()
    gauge = message.resource_metrics.add().scope_metrics.add().metrics.add(name="load").gauge
    for _ in range(ITEMS):
        gauge.data_points.add(time_unix_nano=time.time_ns(), as_double=random.random())
    return message.SerializeToString()


class Sender(threading.Thread):
    """Sends requests of its own making; sends the very same again until it is answered, as OTLP exporters do."""

    def __init__(self, url: Callable[[], str], make: Callable[[], bytes] = single_spans) -> None:
        super().__init__(daemon=True)
        self._url, self.make = url, make
        self.answered = 0
        """Spans, log records or points that were acknowledged."""
        self.repeated = 0
        self.refusals: Counter[int] = Counter()
        self.unexpected: list[str] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=10) as client:  # as long as exporters wait
            while not self.stopping.is_set():
                body = self.make()
                while not self._sent(client, body):
                    self.repeated += 1
                    time.sleep(0.05)
                self.answered += ITEMS

    def _sent(self, client: httpx.Client, body: bytes) -> bool:
        try:
            response = client.post(self._url(), content=body, headers={"content-type": "application/x-protobuf"})
        except httpx.HTTPError:
            return False
        if response.status_code == 200 and not response.content:
            return True
        self.refusals[response.status_code] += 1
        if response.status_code not in (429, 503) or not response.headers.get("retry-after"):
            self.unexpected.append(f"{response.status_code} {response.headers}: {response.content!r}")
        return False


@contextmanager
def load(*senders: Sender) -> Iterator[None]:
    """Send while the block runs; in the end every sender gets its last request through."""
    for sender in senders:
        sender.start()
    yield
    for sender in senders:
        sender.stopping.set()
    for sender in senders:
        sender.join(90)
        assert not sender.is_alive(), f"its last request did not get through; refused: {sender.refusals}"
        assert not sender.unexpected, sender.unexpected[:3]


def must_be_stored(data: Path, *senders: Sender, prefix: tuple[str, ...] = ()) -> None:
    """Check that a stopped Meshscope has what was answered, once, in every table; ``prefix`` leads to ``data``."""
    answered: Counter[Callable[[], bytes]] = Counter()
    for sender in senders:
        answered[sender.make] += sender.answered
    spans, calls = answered[single_spans] + answered[pairs], answered[single_spans] + answered[pairs] // 2
    must_hold(data, spans, calls, calls, logs=answered[log_records], points=answered[points], prefix=prefix)


def must_hold(
    data: Path, spans: int, calls: int, edges: int, *, logs: int = 0, points: int = 0, prefix: tuple[str, ...] = ()
) -> None:
    """Check that the store of a stopped Meshscope has so much of each, once, in every table."""
    command = [*prefix, sys.executable, "-m", "tests.fakes.count_stored", str(data)]
    counted = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)
    wanted = {
        "spans": spans,
        "distinct_spans": spans,
        "indexed": spans,
        "calls": dict.fromkeys(counted["calls"], calls),  # in each rollup of golden signals
        "edges": edges,
        "logs": logs,
        "points": points,
    }
    assert counted == wanted, f"{counted} is stored, {wanted} was answered"
    assert counted["calls"]
