"""A real Apache Kafka for tests: the one that KAFKA_BOOTSTRAP_SERVERS names, else one of our own on free ports."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRIPT = Path(__file__).parent.parent.parent / "deploy/kafka/kafka"


@contextmanager
def kafka(home: Path) -> Iterator[str]:
    """Yield the bootstrap servers."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    port = _two_free_ports()
    subprocess.run([str(SCRIPT), "up", str(home), str(port)], check=True, timeout=600)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        subprocess.run([str(SCRIPT), "down", str(home)], check=True, timeout=60)


def _two_free_ports() -> int:
    """Return a port that is free together with the next one."""
    for port in range(29092, 39092, 2):
        try:
            with socket.create_server(("127.0.0.1", port)), socket.create_server(("127.0.0.1", port + 1)):
                return port
        except OSError:
            continue
    raise AssertionError("no two free ports in a row")
