"""Several workers at one port: each takes its share, one that dies is replaced, and all are renewed without a failed request."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.fakes.http_peers import backend, until
from tests.fakes.proxies import only

CLIENTS = 8


@dataclass
class Running:
    process: asyncio.subprocess.Process
    egress: int
    admin: int

    async def asked(self, page: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.admin}") as client:
            return await client.get(page)

    @property
    def pids(self) -> set[int]:
        """Return the ids of the workers' processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return set(map(int, children.split()))


@asynccontextmanager
async def two_workers(mesh_file: Path) -> AsyncIterator[Running]:
    ports = ("--ingress-port", "0", "--egress-port", "0", "--admin-port", "0")
    command = (sys.executable, "-m", "cli", "proxy", str(mesh_file), "--virtual-node", "web", *ports, "--workers", "2")
    child = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    assert child.stderr is not None
    log = b""
    while b"admin listens" not in log:
        line = await asyncio.wait_for(child.stderr.readline(), 60)
        assert line, log.decode()
        log += line
    reading = asyncio.create_task(child.stderr.read())
    ports_of = {name: int(port) for name, port in re.findall(r"(\w+)(?: of web)? listens on [\d.]+:(\d+)", log.decode())}
    try:
        yield Running(child, ports_of["egress"], ports_of["admin"])
    finally:
        if child.returncode is None:
            child.terminate()
            assert await asyncio.wait_for(child.wait(), 60) == 0
        await reading


@asynccontextmanager
async def load(port: int) -> AsyncIterator[list[int]]:
    """Call without a pause on connections that stay open; yield the statuses so far. A call that fails raises."""
    statuses: list[int] = []
    over = asyncio.Event()

    async def call() -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"host": "api.local"}, timeout=30) as client:
            while not over.is_set():
                statuses.append((await client.get("/")).status_code)

    async with asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(call())
        try:
            yield statuses
        finally:
            over.set()


async def test_workers_share_the_port_and_are_renewed_without_a_failed_request(tmp_path: Path) -> None:
    mesh_file = tmp_path / "mesh.json"
    async with backend() as one:
        mesh_file.write_text(only(one.address))
        async with two_workers(mesh_file) as running:
            before = running.pids
            async with load(running.egress) as statuses:
                await until(lambda: len(statuses) > 100)
                taken = (await running.asked("/stats")).json()["workers"]
                assert min(taken[worker]["outbound"]["requests"] for worker in ("0", "1")) > 0
                running.process.send_signal(signal.SIGUSR2)
                await until(lambda: len(running.pids) == 2 and not running.pids & before)
                renewed = len(statuses)
                await until(lambda: len(statuses) > renewed + 100)
            assert set(statuses) == {200}
            assert (await running.asked("/ready")).json() == {"workers": {"0": {"state": "ready"}, "1": {"state": "ready"}}}
            assert (await running.asked("/ready?worker=2")).status_code == 404


async def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    mesh_file = tmp_path / "mesh.json"
    async with backend() as one:
        mesh_file.write_text(only(one.address))
        async with two_workers(mesh_file) as running:
            before = running.pids
            victim = min(before)
            os.kill(victim, signal.SIGKILL)
            await until(lambda: len(running.pids - {victim}) == 2)
            # The other one serves everybody, whether the new one is there yet or finds this.
            mesh_file.write_text("nonsense: true")
            running.process.send_signal(signal.SIGUSR2)  # whoever comes new would not start: those who are there stay
            async with load(running.egress) as statuses:
                await until(lambda: len(statuses) > 50)
            assert set(statuses) == {200}


async def test_a_mesh_file_that_is_wrong_ends_it_before_it_serves(tmp_path: Path) -> None:
    (mesh_file := tmp_path / "mesh.json").write_text("nonsense: true")
    command = (sys.executable, "-m", "cli", "proxy", str(mesh_file), "--virtual-node", "web", "--workers", "2")
    ports = ("--ingress-port", "0", "--egress-port", "0", "--admin-port", "0")
    child = await asyncio.create_subprocess_exec(*command, *ports, stderr=asyncio.subprocess.PIPE)
    _, err = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 2
    assert f"{mesh_file}:1: " in err.decode()
