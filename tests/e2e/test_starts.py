"""A start that cannot go on says why in one line; one that is interrupted leaves quietly."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.processes import Meshscope, Process, until

OFF = {"--http-port": "0", "--otlp-http-port": "0", "--otlp-grpc-port": "0"}


def _up(home: Path, **options: str) -> Process:
    told = OFF | {"--data-dir": str(home / "data")} | {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    return Process(home / "up.log", sys.executable, "-m", "cli", "up", *(part for pair in told.items() for part in pair))


def test_a_data_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    started = _up(tmp_path)
    assert started.process.wait(60) == 2
    assert started.said().splitlines() == [
        f"{tmp_path / 'data'} cannot hold the data: File exists; choose a directory that can be written with --data-dir."
    ]


def test_a_settings_file_that_is_not_toml_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meshscope.toml").write_text("http_port = [")
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    monkeypatch.chdir(tmp_path)
    started = _up(tmp_path)
    assert started.process.wait(60) == 2
    assert started.said().startswith("meshscope.toml: expected TOML: ")
    assert len(started.said().splitlines()) == 1


def test_a_grpc_port_that_is_taken_is_named_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        started = _up(tmp_path, otlp_grpc_port=str(port))
        assert started.process.wait(60) == 2
    said = started.said().splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"cannot listen on 127.0.0.1:{port} for otlp-grpc: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_start_ends_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    started = _up(tmp_path)
    until("the data being opened", (tmp_path / "data" / "lock").exists)
    assert started.stop(number) == 0
    assert "Traceback" not in started.said()


def test_after_a_start_that_was_killed_the_next_one_works(tmp_path: Path, start_meshscope: Callable[..., Meshscope]) -> None:
    started = _up(tmp_path)
    until("tables being created", lambda: any((tmp_path / "data" / "clickhouse").glob("metadata/*/*.sql")))
    started.kill()
    start_meshscope().until_ready()
