"""What was answered is there after a restart, and only for the one who owns the data."""

import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.fakes.processes import Meshscope, Process
from tests.fakes.spans import SERVER, Span, request


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


def _send(meshscope: Meshscope, spans: list[Span]) -> None:
    answer = httpx.post(
        meshscope.traces_url, content=request(spans), headers={"content-type": "application/x-protobuf"}, timeout=30
    )
    assert answer.status_code == 200, answer.content
