"""The collectors that Meshscope is compared with: how each is fetched, configured and started."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import Process, free_port

HERE = Path(__file__).parent
FETCHED = HERE / ".fetched"
ROTEL = "0.0.1a15"
OTELCOL = "0.161.0"

_OTELCOL_CONFIG = """\
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
processors: {{batch: }}
exporters:
  clickhouse: {{endpoint: "http://127.0.0.1:{sink}", database: otel, create_schema: false, compress: none, timeout: 60s}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], processors: [batch], exporters: [clickhouse]}}}}
"""


class NotHere(Exception):
    """A peer cannot be had on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A collector that takes OTLP over HTTP and inserts into ClickHouse over HTTP, in its own default batches."""

    name: str
    version: str
    program: Callable[[], Path]
    """Fetch or build it, once. Raises NotHere."""
    command: Callable[[Path, Path, int, int], list[str | Path]]
    """Return how it is started: from its program, a folder for its files, the port to listen on and the sink's port."""

    def start(self, home: Path, sink: int) -> tuple[Process, int]:
        """Start it and return it with the port that it will listen on. Raises NotHere."""
        port = free_port()
        return Process(self.command(self.program(), home, port, sink), home / f"{self.name}.log"), port


def _rotel() -> Path:
    """A venv of its own: the wheel is no dependency of ours."""
    found = FETCHED / f"rotel-{ROTEL}"
    if not found.exists():
        _run([sys.executable, "-m", "venv", found])
        _run([found / "bin/pip", "install", "--quiet", "--disable-pip-version-check", f"rotel=={ROTEL}"])
    return next(found.glob("lib/*/site-packages/rotel/rotel-agent"))


def _rotel_command(program: Path, home: Path, port: int, sink: int) -> list[str | Path]:
    return [
        *(program, "start", "--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}"),
        *("--exporter", "clickhouse", "--clickhouse-exporter-endpoint", f"http://127.0.0.1:{sink}"),
        *("--clickhouse-exporter-compression", "none"),
    ]


def _otelcol() -> Path:
    """Built from Go modules as the Collector's own builder would: receiver, batch processor, ClickHouse exporter."""
    program = FETCHED / f"otelcol-{OTELCOL}"
    if not program.exists():
        if not shutil.which("go"):
            raise NotHere("there is no go to build the OpenTelemetry Collector with")
        _run(["go", "build", "-trimpath", "-o", program, "."], cwd=HERE / "otelcol")
    return program


def _otelcol_command(program: Path, home: Path, port: int, sink: int) -> list[str | Path]:
    config = home / "otelcol.yaml"
    config.write_text(_OTELCOL_CONFIG.format(port=port, sink=sink))
    return [program, "--config", config]


def _run(command: list[str | Path], cwd: Path | None = None) -> None:
    FETCHED.mkdir(exist_ok=True)
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ, check=False)
    if done.returncode:
        raise NotHere(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-500:]}")


PEERS = (
    Peer("rotel", ROTEL, _rotel, _rotel_command),
    Peer("otelcol", OTELCOL, _otelcol, _otelcol_command),
)
