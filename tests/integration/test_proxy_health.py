"""Companion proxies ask endpoints how they are, and call those that are well."""

from pathlib import Path

from mesh_proxy.targets.health_wire import AGENT
from tests.fakes.certificates import Authority
from tests.fakes.http_peers import Received, Reply, backend, collector, get, until
from tests.fakes.hurried_clock import HurriedClock
from tests.fakes.proxies import OUTLIER, only, proxy
from tests.fakes.tls_pairs import API, WEB, calling, listener, policy

CHECK = {
    "protocol": "http",
    "port": 1,  # the listener's, as App Mesh wants it
    "path": "/healthz",
    "healthyThreshold": 2,
    "unhealthyThreshold": 2,
    "intervalMillis": 5000,
    "timeoutMillis": 2000,
}


async def test_an_endpoint_that_is_not_well_gets_no_traffic_until_it_is_again(tmp_path: Path) -> None:
    well = True

    def sometimes(request: Received) -> Reply:
        return Reply(200 if well else 503) if request.target == "/healthz" else Reply(body=b"one")

    async with collector() as seen, backend(sometimes) as one, backend(lambda _: Reply(body=b"other")) as other:
        text = only(one.address, other.address, healthCheck=CHECK)
        async with proxy(text, tmp_path, otlp=seen.url, clock=HurriedClock()) as running:
            (target,) = [target for target in running.live.targets if target.name == "api"]
            assert {(await get(running.egress_port, "/")).body for _ in range(4)} == {b"one", b"other"}
            well = False
            await until(lambda: not target.circuit.endpoints[0].healthy)
            assert {(await get(running.egress_port, "/")).body for _ in range(4)} == {b"other"}
            well = True
            await until(lambda: target.circuit.endpoints[0].healthy)
            assert {(await get(running.egress_port, "/")).body for _ in range(4)} == {b"one", b"other"}
        checks = [request for request in one.received if request.headers.get("user-agent") == AGENT]
        assert {request.target for request in checks} == {"/healthz"}
        told = [(each["event.action"], each["endpoint"]) for each in seen.events if each["name"] == "mesh.health_check"]
        assert told == [("unhealthy", one.address), ("healthy", one.address)]
        assert not [span for span in seen.spans if span.attributes.get("url.path") == "/healthz"]


async def test_endpoints_with_tls_are_asked_in_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = listener(authority.sign(API), trust=authority, names=(WEB,))
    client = policy(authority, authority.sign(WEB), names=(API,))
    async with backend() as app:
        text = calling("127.0.0.1:1", None, port=app.port, tls=server)
        async with proxy(text, tmp_path, beside="api") as api:
            there = f"127.0.0.1:{api.ingress_port}"
            check = CHECK | {"port": app.port}
            text = calling(there, client, port=app.port, tls=server, healthCheck=check)
            async with proxy(text, tmp_path, clock=HurriedClock()) as web:
                target = web.live.targets[0]
                assert target.health is not None
                await until(lambda: target.health.checks >= 3)  # type: ignore[union-attr]
                assert target.health.failures == 0
                assert {request.target for request in app.received} == {"/healthz"}


async def test_when_none_is_well_requests_fail_at_once_and_a_check_ends_an_ejection(tmp_path: Path) -> None:
    failing = True

    def answer(request: Received) -> Reply:
        return Reply(200 if request.target == "/healthz" or not failing else 500)

    outlier = OUTLIER | {"baseEjectionDuration": {"unit": "s", "value": 100_000}}
    async with backend(answer) as one:
        text = only(one.address, healthCheck=CHECK, outlierDetection=outlier)
        async with proxy(text, tmp_path, clock=HurriedClock()) as running:
            target = running.live.targets[0]
            assert [(await get(running.egress_port, "/")).status for _ in range(2)] == [500, 500]
            failing = False
            await until(lambda: target.state == "closed")
            assert (await get(running.egress_port, "/")).status == 200
    async with proxy(only("127.0.0.1:1", healthCheck=CHECK), tmp_path, clock=HurriedClock()) as running:
        target = running.live.targets[0]
        await until(lambda: target.state == "open")
        assert (await get(running.egress_port, "/")).status == 503
        assert running.egress.counts.flags["UH"] == 1
