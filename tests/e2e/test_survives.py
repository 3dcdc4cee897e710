"""What was answered is there once: over kill -9, over restarts, and only for the one who owns the data."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.processes import Meshscope, Process, until
from tests.fakes.spans import SERVER, Span, request

KILLS = 5
SPANS = 20
SENDERS = 4


class Sender(threading.Thread):
    """Sends requests of its own making; sends the very same again until it is answered, as OTLP exporters do."""

    def __init__(self, url: Callable[[], str]) -> None:
        super().__init__(daemon=True)
        self._url = url
        self.answered = 0
        self.repeated = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=5) as client:
            while not self.stopping.is_set():
                body = request(Span("load", SERVER) for _ in range(SPANS))
                while not self._sent(client, body):
                    self.repeated += 1
                    time.sleep(0.05)
                self.answered += SPANS

    def _sent(self, client: httpx.Client, body: bytes) -> bool:
        try:
            response = client.post(self._url(), content=body, headers={"content-type": "application/x-protobuf"})
        except httpx.HTTPError:
            return False
        assert response.status_code in (200, 429, 503), response.content
        return response.status_code == 200


@pytest.mark.timeout(400)
def test_every_answered_span_is_there_once_after_five_kills(start_meshscope: Callable[..., Meshscope], tmp_path: Path) -> None:
    current = start_meshscope().until_ready()
    senders = [Sender(lambda: current.traces_url) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        before = _answered(senders)
        until("load arriving", lambda before=before: _answered(senders) > before)
        time.sleep(random.uniform(0.2, 1.5))  # any moment: before, within and after a commit
        current.kill()
        current = start_meshscope().until_ready()
    for sender in senders:
        sender.stopping.set()
    for sender in senders:
        sender.join(60)
        assert not sender.is_alive()
    assert current.stop() == 0
    expected = _answered(senders)
    assert expected > KILLS * SPANS
    assert sum(sender.repeated for sender in senders) > 0, "no kill met a request under way"
    assert stored(tmp_path / "data") == {"spans": expected, "distinct_spans": expected, "calls": expected, "indexed": expected}


def test_a_second_start_continues(start_meshscope: Callable[..., Meshscope]) -> None:
    first = start_meshscope().until_ready()
    _send(first, [Span("shop", SERVER, name="GET /one")])
    assert first.stop() == 0
    second = start_meshscope().until_ready()
    _send(second, [Span("shop", SERVER, name="GET /two")])
    assert {trace["root_name"] for trace in second.get("traces", service="shop")["traces"]} == {"GET /one", "GET /two"}


def test_a_second_process_on_the_same_data_gets_one_clear_line(start_meshscope: Callable[..., Meshscope], tmp_path: Path) -> None:
    first = start_meshscope().until_ready()
    second = Process(
        tmp_path / "second.log", sys.executable, "-m", "cli", "up", "--data-dir", str(tmp_path / "data"), "--http-port", "0"
    )
    assert second.process.wait(60) == 2
    assert second.said().splitlines() == [
        f"{tmp_path / 'data'} is in use by the process with id {first.process.pid};"
        " stop that one or choose another directory with --data-dir."
    ]


def test_a_port_that_is_taken_is_named(meshscope: Meshscope, tmp_path: Path) -> None:
    ports = ("--http-port", str(meshscope.http), "--otlp-http-port", "0", "--otlp-grpc-port", "0")
    second = Process(tmp_path / "second.log", sys.executable, "-m", "cli", "up", "--data-dir", str(tmp_path / "other"), *ports)
    assert second.process.wait(60) == 2
    assert f"cannot listen on 127.0.0.1:{meshscope.http} for http" in second.said()
    assert "Traceback" not in second.said()


def _answered(senders: list[Sender]) -> int:
    return sum(sender.answered for sender in senders)


def _send(meshscope: Meshscope, spans: list[Span]) -> None:
    answer = httpx.post(
        meshscope.traces_url, content=request(spans), headers={"content-type": "application/x-protobuf"}, timeout=30
    )
    assert answer.status_code == 200, answer.content


def stored(data: Path) -> Any:
    counted = subprocess.run(
        [sys.executable, "-m", "tests.fakes.count_stored", str(data)], capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(counted.stdout)
