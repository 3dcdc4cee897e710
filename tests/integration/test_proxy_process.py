import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mesh_model.meshfile import MeshFileError
from mesh_proxy.server import ProxySettings, run
from tests.fakes.http_peers import Reply, ask, backend, collector, get, until
from tests.fakes.proxies import only

MAIN = """
import logging, sys
from pathlib import Path
from mesh_proxy.server import ProxySettings, run
logging.basicConfig(level=logging.INFO)
run(ProxySettings(Path(sys.argv[1]), "web", ingress_port=0, egress_port=0, admin_port=0, otlp_endpoint=sys.argv[2]))
heavy = {"storage", "fastapi", "sqlalchemy", "clickhouse_connect", "pydantic", "httpx", "opentelemetry", "msgspec"}
print("heavy:", sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


@dataclass
class Running:
    process: asyncio.subprocess.Process
    egress: int
    admin: int


@asynccontextmanager
async def process(mesh_file: Path, otlp: str) -> AsyncIterator[Running]:
    """Run a proxy in a process of its own, on uvloop."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, str(mesh_file), otlp, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert child.stderr is not None
    log = b""
    while b"admin listens" not in log:
        line = await asyncio.wait_for(child.stderr.readline(), 20)
        assert line, log.decode()
        log += line
    ports = {name: int(port) for name, port in re.findall(r"(\w+)(?: of web)? listens on [\d.]+:(\d+)", log.decode())}
    try:
        yield Running(child, ports["egress"], ports["admin"])
    finally:
        if child.returncode is None:
            child.kill()
            await child.communicate()


async def test_a_process_drains_delivers_and_ends_with_zero(tmp_path: Path) -> None:
    gate = asyncio.Event()
    mesh_file = tmp_path / "mesh.json"
    async with collector() as seen, backend(lambda _: Reply(wait=gate.wait)) as one:
        mesh_file.write_text(only(one.address))
        async with process(mesh_file, seen.url) as running:
            slow = asyncio.create_task(get(running.egress, "/slow"))
            await until(lambda: one.received)
            mesh_file.write_text("nonsense: true")
            running.process.send_signal(signal.SIGHUP)
            await until(lambda: [event["event.action"] for event in seen.events] == ["accepted", "rejected"])
            running.process.send_signal(signal.SIGTERM)
            await until_refused(running.egress)
            assert not slow.done()
            gate.set()
            answer = await slow
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            out, err = await asyncio.wait_for(running.process.communicate(), 20)
            assert running.process.returncode == 0, err.decode()
            assert out.decode().strip() == "heavy: []"
            assert b"Traceback" not in err
        assert len(seen.spans) == 2


async def until_refused(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                return
            writer.close()
            await asyncio.sleep(0.01)


def resident_kb(pid: int) -> int:
    """Return the resident memory of a process; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status.read_text())[0]) if status.exists() else 0


async def test_a_process_keeps_small(tmp_path: Path) -> None:
    mesh_file = tmp_path / "mesh.json"
    async with backend(lambda _: Reply(body=b"x" * 1000)) as one:
        mesh_file.write_text(only(one.address))
        async with process(mesh_file, "http://127.0.0.1:1") as running:
            for _ in range(200):
                assert (await get(running.egress, "/")).status == 200
            assert (await ask(running.admin, b"GET /stats HTTP/1.1\r\nHost: x\r\n\r\n")).status == 200
            assert resident_kb(running.process.pid) < 45_000
            running.process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(running.process.communicate(), 20)
            assert running.process.returncode == 0


def test_a_wrong_mesh_file_is_told_before_anything_listens(tmp_path: Path) -> None:
    mesh_file = tmp_path / "mesh.yaml"
    mesh_file.write_text("mesh: {}\n")
    with pytest.raises(MeshFileError, match=r"mesh.yaml:1: mesh.meshName: `meshName` is missing"):
        run(ProxySettings(mesh_file, "web", ingress_port=0, egress_port=0, admin_port=0))
