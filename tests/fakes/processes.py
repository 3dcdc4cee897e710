"""Real processes for tests, on free ports, with a deadline for everything that is waited for."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def until(what: str, answers: Callable[[], Any], within_s: float = 100) -> Any:
    """Return the first true answer; fail with the last one when the time is over."""
    deadline = time.monotonic() + within_s
    answer: Any = None
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if answer := answers():
                return answer
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {within_s} s; last: {answer!r}")


class Process:
    """A child process whose output goes to a file."""

    def __init__(self, log: Path, *command: str) -> None:
        self.log = log
        self.begin(log, *command)

    def begin(self, log: Path, *command: str) -> None:
        """Start the command."""
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self, number: signal.Signals = signal.SIGINT, within_s: float = 30) -> int:
        """Ask it to stop and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(within_s)

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def check(self) -> None:
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.said()[-2000:]}"


class Meshscope(Process):
    """`meshscope up`; ``prefix`` is a command that starts it, somewhere else for instance."""

    def __init__(self, data_dir: Path, log: Path, *, prefix: tuple[str, ...] = (), **options: str) -> None:
        self.http, self.otlp_http, self.otlp_grpc = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http}"
        self.traces_url = self.url_of("traces")
        ports = {"http_port": str(self.http), "otlp_http_port": str(self.otlp_http), "otlp_grpc_port": str(self.otlp_grpc)}
        told = [part for name, value in (ports | options).items() for part in (f"--{name.replace('_', '-')}", value)]
        self._pages = options.get("http_port") != "0"
        super().__init__(log, *prefix, sys.executable, "-m", "cli", "up", "--data-dir", str(data_dir), *told)

    def url_of(self, signal: str) -> str:
        """Return where OTLP is sent."""
        return f"http://127.0.0.1:{self.otlp_http}/v1/{signal}"

    def until_ready(self) -> Self:
        def ready() -> bool:
            self.check()
            # The doors open last.
            pages = not self._pages or httpx.get(f"{self.url}/readyz").is_success
            return pages and httpx.get(self.traces_url).status_code == 405

        try:
            until("being ready", ready)
        except AssertionError:
            self.kill()
            raise
        return self

    def get(self, path: str, **parameters: Any) -> Any:
        response = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=30)
        assert response.is_success, f"{response.url}: {response.text}"
        return response.json()

    def edges(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {(edge["source"], edge["destination"]): edge for edge in self.get("topology")["edges"]}
