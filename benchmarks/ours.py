"""Meshscope's own processes, started as an operator starts them, and what they have stored."""

import os
import sys
from pathlib import Path

from benchmarks.process import Process, free_port
from storage.telemetry.engine_clickhouse import open_embedded

_MESHSCOPE = Path(sys.executable).with_name("meshscope")
_QUIET = {"MESHSCOPE_HTTP_PORT": "0", "MESHSCOPE_OTLP_GRPC_PORT": "0"}
"""What is not ingest is not started: no dashboard, no query API, and one door is enough."""


def up(home: Path) -> tuple[Process, int]:
    """Start everything that ingests, in one process, on an embedded store in ``home``; return it and its OTLP/HTTP port."""
    return _start("up", home, {"MESHSCOPE_DATA_DIR": str(home / "data")})


def collect(home: Path, kafka: str) -> tuple[Process, int]:
    """Start what takes OTLP and puts it on Kafka; return it and its OTLP/HTTP port."""
    return _start("collect", home, {"MESHSCOPE_KAFKA_BOOTSTRAP_SERVERS": kafka})


def ingest(home: Path, kafka: str, group: str) -> Process:
    """Start what stores what is on Kafka."""
    settings = {"MESHSCOPE_KAFKA_BOOTSTRAP_SERVERS": kafka, "MESHSCOPE_KAFKA_GROUP_ID": group}
    return _start("ingest", home, settings | {"MESHSCOPE_DATA_DIR": str(home / "data")})[0]


def expect_stored(home: Path, expected: int) -> None:
    """Look into the store of a process that has ended; raise when spans or what the views made of them are missing or doubled."""
    engine = open_embedded(home / "data")
    try:
        (found,) = engine.query(
            "SELECT (SELECT count() FROM spans) AS spans, (SELECT sum(spans) FROM trace_index) AS indexed", {}
        )
    finally:
        engine.close()
    if (found["spans"], found["indexed"]) != (expected, expected):
        raise RuntimeError(f"{expected} spans were accepted, but {found} are stored: the figures would be void")


def _start(command: str, home: Path, settings: dict[str, str]) -> tuple[Process, int]:
    port = free_port()
    env = _QUIET | settings | {"MESHSCOPE_OTLP_HTTP_PORT": str(port)}
    return Process([_MESHSCOPE, command], home / f"{command}.log", {**os.environ, **env}), port
