"""What Prometheus reads of a companion proxy, with Prometheus' own parser."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from mesh_proxy.admin.pages import serve_admin
from mesh_proxy.admin.prometheus import METRICS
from mesh_proxy.proxy import Proxy
from tests.fakes.http_peers import Reply, ask, backend, get
from tests.fakes.proxies import mesh, node, proxy, retries, route

Key = tuple[str, frozenset[tuple[str, str]]]


async def test_golden_signals_are_told_by_route_and_target(tmp_path: Path) -> None:
    async with backend() as old, backend(lambda _: Reply(503)) as new:
        routes = [route("pay", "/pay", {"v2": 1}, retryPolicy=retries("server-error", limit=1)), route("rest", "/", {"v1": 1})]
        text = mesh(routes, [node("v1", [old.address]), node("v2", [new.address])])
        async with proxy(text, tmp_path) as running:
            for target in ("/", "/x", "/pay"):
                await get(running.egress_port, target)
            await get(running.egress_port, "/", "nobody.local")
            found = await scraped(running)
    rest = {"direction": "outbound", "listener": "egress", "virtual_service": "api.local", "route": "rest", "target": "v1"}
    pay = rest | {"route": "pay", "target": "v2"}
    egress = {"direction": "outbound", "listener": "egress"}
    assert value(found, "requests_total", rest, status="2xx") == 2
    assert value(found, "requests_total", pay, status="5xx") == 1
    assert (
        value(found, "request_duration_seconds_count", rest)
        == value(found, "request_duration_seconds_bucket", rest, le="+Inf")
        == 2
    )
    assert 0 < value(found, "request_duration_seconds_sum", rest) < 60
    assert value(found, "direction_requests_total", egress) == 4
    assert (value(found, "attempts_total", egress), value(found, "retries_total", egress)) == (4, 1)
    assert value(found, "response_flags_total", egress, flag="NR") == 1
    assert value(found, "target_circuit", target="v1", state="closed") == 1
    assert value(found, "target_circuit", target="v1", state="open") == 0
    assert value(found, "endpoint_connections", target="v1", address=old.address) == 1
    assert value(found, "config_total", outcome="accepted") == 1


async def scraped(running: Proxy) -> dict[Key, float]:
    """Return the samples by name and labels, each once; every metric that is told of is there."""
    server = await serve_admin(running, "127.0.0.1", 0)
    answer = await ask(server.sockets[0].getsockname()[1], b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    server.close()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.body.decode()))
    assert {family.name.removesuffix("_total") for family in families} == {
        f"meshscope_proxy_{name}".removesuffix("_total") for name in METRICS
    }
    samples = [(sample.name, frozenset(sample.labels.items()), sample.value) for family in families for sample in family.samples]
    found = {(name, labels): number for name, labels, number in samples}
    assert len(found) == len(samples), "no series is told twice"
    return found


def value(found: dict[Key, float], name: str, labels: dict[str, str] | None = None, **more: str) -> float:
    """Return one sample."""
    return found[f"meshscope_proxy_{name}", frozenset(((labels or {}) | more).items())]
