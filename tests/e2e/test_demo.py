"""The demo is the product: it must see everything that it shows, and stop by itself."""

import signal
import sys
from pathlib import Path

import httpx
import pytest

from tests.fakes.processes import Process, free_port, until


@pytest.mark.timeout(300)
def test_the_demo_sees_what_it_shows(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("demo", "--duration", "40", "--http-port", str(port), "--directory", str(tmp_path / "demo"))
    demo = Process(tmp_path / "demo.log", sys.executable, "-m", "cli", *arguments)
    try:
        assert demo.process.wait(280) == 0, demo.said()
    finally:
        demo.stop(signal.SIGINT) if demo.process.poll() is None else None
    said = demo.said()
    for seen in ("spans sent = spans stored", "breaker of the ledger", "canary split of payments", "webhook deliveries"):
        assert seen in said
    assert "missing" not in said
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/readyz")


@pytest.mark.timeout(300)
def test_ctrl_c_stops_the_demo_with_all_its_processes(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("demo", "--http-port", str(port), "--directory", str(tmp_path / "demo"))
    demo = Process(tmp_path / "demo.log", sys.executable, "-m", "cli", *arguments)
    try:
        until("the demo showing the mesh", lambda: "shows the mesh" in demo.said(), 240)
    finally:
        status = demo.stop(signal.SIGINT)
    assert status == 0, demo.said()
    assert "Traceback" not in demo.said()
    for log in (tmp_path / "demo").glob("*.log"):
        assert "Traceback" not in log.read_text(), log
