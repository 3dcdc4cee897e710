"""A mesh file with mistakes: every one is named, with its place; a running proxy keeps what it has."""

import sys
from pathlib import Path

import httpx
import pytest

from tests.fakes.processes import Process, free_port, until

GOOD = """\
mesh: {meshName: shop}
virtualNodes:
  - virtualNodeName: till
    spec:
      listeners: [{portMapping: {port: 9001, protocol: http}}]
      serviceDiscovery: {static: {endpoints: ["127.0.0.1:9002"]}}
"""
BAD = GOOD.replace("port: 9001", "port: 90010")


def _proxy(tmp_path: Path, text: str) -> tuple[Process, int]:
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text(text)
    admin = free_port()
    ports = ("--ingress-port", free_port(), "--egress-port", free_port(), "--admin-port", admin)
    return Process(tmp_path / "proxy.log", sys.executable, "-m", "cli", "proxy", str(mesh), "till", *map(str, ports)), admin


def test_a_proxy_does_not_start_on_a_mistake_and_says_where_it_is(tmp_path: Path) -> None:
    proxy, _ = _proxy(tmp_path, BAD)
    assert proxy.process.wait(60) == 2
    said = proxy.said()
    assert f"{tmp_path / 'mesh.yaml'}:5" in said
    assert "virtualNodes[0].spec.listeners[0].portMapping.port" in said
    assert "65535" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("problem", ["wrong", "gone"])
def test_a_running_proxy_keeps_its_table(tmp_path: Path, problem: str) -> None:
    proxy, admin = _proxy(tmp_path, GOOD)
    try:
        url = f"http://127.0.0.1:{admin}"
        until("the proxy being ready", lambda: httpx.get(f"{url}/ready").is_success)
        before = httpx.get(f"{url}/config").json()
        if problem == "wrong":
            (tmp_path / "mesh.yaml").write_text(BAD)
        else:
            (tmp_path / "mesh.yaml").unlink()
        answer = httpx.post(f"{url}/reload")
        assert answer.status_code == 400
        assert answer.json()["problems"]
        assert httpx.get(f"{url}/config").json() == before
        assert httpx.get(f"{url}/stats").json()["config"]["rejected"] == 1
        assert proxy.stop() == 0
    finally:
        proxy.kill()
