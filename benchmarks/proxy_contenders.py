"""Starts what takes part: both proxies as an operator starts them, the backend, and who counts spans."""

import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.process import Process, free_port
from benchmarks.proxy_envoy import envoy_config
from benchmarks.proxy_load import CONNECTIONS, Done
from benchmarks.proxy_setup import NODE, PEER, Features, Surroundings, mesh_file, nginx_config
from core.clock import SystemClock
from tests.fakes.certificates import Authority

OURS, ENVOY = "ours", "envoy"
SERVICE = {OURS: NODE, ENVOY: ENVOY}
"""What the resource of a proxy's spans is called."""
CLOCK = SystemClock()
SETTLED_S, LONGEST_S = 1.2, 20.0
_BIN = Path(sys.executable).parent
_PROXIES_CORE, *_OTHER_CORES = [str(core) for core in sorted(os.sched_getaffinity(0))]
OTHERS = ("taskset", "-c", ",".join(_OTHER_CORES)) if _OTHER_CORES else ()
_ALONE = ("taskset", "-c", _PROXIES_CORE) if _OTHER_CORES else ()
"""Proxies get a core for themselves, everybody else shares the others; with one core only there is nothing to share."""


class Void(Exception):
    """Not every request was traced: the figures say nothing."""


class Contender:
    """A proxy under test."""

    def __init__(self, side: str, features: Features, process: Process, port: int) -> None:
        self.side, self.features, self.process, self.port = side, features, process, port

    def __repr__(self) -> str:
        return f"<Contender {self.side} {self.features} on {self.port}>"


class Counter:
    """The process that counts spans, as the benchmark sees it."""

    def __init__(self, port: int) -> None:
        self.port = port

    def forget(self) -> None:
        """Count from zero."""
        self._ask("/forget", b"")

    async def expect(self, contender: Contender, done: Done) -> None:
        """Wait until the spans have come. Raises Void unless every request has a SERVER and a CLIENT span.

        A client that stops leaves requests behind that it does not count, one for each connection at most.
        """
        if not contender.features.spans:
            return
        deadline, before, hops = CLOCK.monotonic() + LONGEST_S, None, contender.features.hops
        while (told := self._told(contender)) != before or told.get("server", 0) < done.requests * hops:
            if CLOCK.monotonic() > deadline:
                break
            before = told
            await CLOCK.sleep(SETTLED_S)
        kinds = {told.get("server", 0) / hops, told.get("client", 0) / hops, told.get("traces", 0)}
        if min(kinds) < done.requests or max(kinds) > done.requests + CONNECTIONS:
            raise Void(f"{contender!r} answered {done.requests} requests, the spans received are {told}")

    def _told(self, contender: Contender) -> dict[str, int]:
        counts: dict[str, dict[str, int]] = json.loads(self._ask("/counts"))
        return counts.get(SERVICE[contender.side], {})

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", body, 10) as answer:
            content: bytes = answer.read()
            return content


class Ring:
    """All that runs during the benchmark; leave it with ``stop``."""

    def __init__(self, home: Path) -> None:
        self._home, self._running = home, list[Process]()
        self.backend, self._grpc_backend, self._collector = free_port(), free_port(), free_port()
        self._authority = Authority(home)
        self._identity = self._authority.sign(PEER, at="proxy")
        self.counter = Counter(self._collector)

    @property
    def message(self) -> Path:
        """The file that holds a gRPC message, which is asked with and answered with."""
        return self._home / "reply"

    async def open(self) -> None:
        """Start the backend and who counts spans."""
        config = self._write("nginx.conf", nginx_config(self._home, self.backend, self._grpc_backend))
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if nginx is None:
            raise SystemExit("nginx is missing: make system-needs")
        await self._run("nginx", [*OTHERS, nginx, "-e", self._home / "nginx-error.log", "-c", config], self.backend)
        counter = [*OTHERS, sys.executable, "-m", "benchmarks.proxy_spans", str(self._collector)]
        await self._run("counter", counter, self._collector)

    async def enter(self, side: str, features: Features) -> Contender:
        """Start a proxy with one worker."""
        around = Surroundings(
            listen=free_port(),
            ingress=free_port(),
            admin=free_port(),
            backend=self._grpc_backend if features.grpc else self.backend,
            collector=self._collector,
            authority=self._authority,
            identity=self._identity,
        )
        name = f"{side}-{len(self._running)}"
        command = self._envoy(name, features, around) if side == ENVOY else self._ours(name, features, around)
        process = await self._run(name, [*_ALONE, *command], around.listen)
        return Contender(side, features, process, around.listen)

    def stop(self) -> None:
        """End everything."""
        for process in reversed(self._running):
            process.stop()

    def _envoy(self, name: str, features: Features, around: Surroundings) -> list[str | Path]:
        config = self._write(f"{name}.json", envoy_config(features, around))
        return [_BIN / "envoy", "-c", config, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"]

    def _ours(self, name: str, features: Features, around: Surroundings) -> list[str | Path]:
        config = self._write(f"{name}.json", mesh_file(features, around))
        told = {"egress-port": around.listen, "admin-port": around.admin, "ingress-port": around.ingress}
        options = [word for option, value in told.items() for word in (f"--{option}", str(value))]
        spans = ["--otlp-endpoint", f"http://127.0.0.1:{around.collector}"] if features.spans else []
        return [_BIN / "meshscope", "proxy", config, NODE, *options, *spans]

    def _write(self, name: str, text: str) -> Path:
        path = self._home / name
        path.write_text(text, "utf-8")
        return path

    async def _run(self, name: str, command: list[str | Path], port: int) -> Process:
        process = Process(command, self._home / f"{name}.log")
        self._running.append(process)
        await process.listening(port)
        return process


@contextmanager
def ring(home: Path) -> Iterator[Ring]:
    """Hold a ring for as long as the block runs."""
    held = Ring(home)
    try:
        yield held
    finally:
        held.stop()
