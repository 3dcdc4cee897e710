import asyncio
import json
import time
from pathlib import Path

import pytest

from mesh_proxy.admin.pages import serve_admin
from mesh_proxy.proxy import Proxy
from tests.fakes.http_peers import Reply, SeenSpan, answer_from, ask, backend, collector, get, until
from tests.fakes.proxies import NO_RETRIES, mesh, node, only, proxy, route

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def of_kind(spans: list[SeenSpan], kind: int) -> list[SeenSpan]:
    return sorted((span for span in spans if span.span.kind == kind), key=lambda span: span.span.start_time_unix_nano)


async def test_a_retried_request_has_one_server_span_and_a_client_span_per_attempt(tmp_path: Path) -> None:
    left = [Reply(503), Reply(200)]
    async with collector() as seen, backend(lambda _: left.pop(0)) as one:
        async with proxy(only(one.address), tmp_path, otlp=seen.url) as running:
            traceparent = f"00-{TRACE}-{CALLER}-01"
            answer = await get(running.egress_port, "/x?secret=1", traceparent=traceparent, tracestate="a=1")
            assert answer.status == 200
        assert len(seen.spans) == 3
        (server,), (first, second) = of_kind(seen.spans, 2), of_kind(seen.spans, 3)
        assert {span.span.trace_id.hex() for span in seen.spans} == {TRACE}
        assert server.span.parent_span_id.hex() == CALLER
        assert {span.span.parent_span_id for span in (first, second)} == {server.span.span_id}
        assert len({span.span.span_id for span in seen.spans}) == 3
        assert [request.headers["traceparent"] for request in one.received] == [
            f"00-{TRACE}-{span.span.span_id.hex()}-01" for span in (first, second)
        ]
        assert one.received[0].headers["tracestate"] == "a=1"
        assert server.attributes == {
            "component": "proxy",
            "mesh.direction": "outbound",
            "http.request.method": "GET",
            "http.route": "/",
            "url.path": "/x",
            "http.response.status_code": 200,
            "response_flags": "-",
            "upstream_cluster.name": "api",
            "client.address": "127.0.0.1",
            "server.address": "api.local",
            "mesh.virtual_service": "api.local",
            "mesh.route": "all",
        }
        both = {
            "component": "proxy",
            "mesh.direction": "outbound",
            "http.request.method": "GET",
            "http.route": "/",
            "url.path": "/x",
            "response_flags": "-",
            "upstream_cluster.name": "api",
            "peer.service": "backend",
            "peer.version": "v1",
            "server.address": "127.0.0.1",
            "server.port": one.port,
        }
        assert first.attributes == both | {"http.response.status_code": 503, "error.type": "503"}
        assert second.attributes == both | {"http.response.status_code": 200, "http.request.resend_count": 1}
        assert (server.span.status.code, first.span.status.code, second.span.status.code) == (0, 2, 0)
        assert server.resource == {
            "service.name": "web",
            "service.version": "v0",
            "service.instance.id": "web-1",
            "mesh.name": "test",
            "mesh.virtual_node": "web",
            "telemetry.sdk.name": "meshscope-proxy",
        }
        assert abs(server.span.start_time_unix_nano / 1e9 - time.time()) < 60
        assert server.span.start_time_unix_nano <= first.span.start_time_unix_nano <= second.span.end_time_unix_nano
        assert second.span.end_time_unix_nano <= server.span.end_time_unix_nano


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({"b3": f"{TRACE}-{CALLER}-1"}, id="one header"),
        pytest.param({"X-B3-TraceId": TRACE, "X-B3-SpanId": CALLER, "X-B3-Sampled": "1"}, id="several headers"),
    ],
)
async def test_a_caller_that_speaks_b3_is_the_parent_and_b3_is_passed_on(tmp_path: Path, sent: dict[str, str]) -> None:
    async with collector() as seen, backend() as one:
        async with proxy(only(one.address), tmp_path, otlp=seen.url) as running:
            await get(running.egress_port, "/", **sent)
        (server,), (client,) = of_kind(seen.spans, 2), of_kind(seen.spans, 3)
        assert (server.span.trace_id.hex(), server.span.parent_span_id.hex()) == (TRACE, CALLER)
    recorded = one.received[0].headers
    assert recorded["traceparent"] == f"00-{TRACE}-{client.span.span_id.hex()}-01"
    told = recorded.get("b3") or "-".join(recorded[f"x-b3-{part}"] for part in ("traceid", "spanid", "sampled", "parentspanid"))
    assert told == f"{TRACE}-{client.span.span_id.hex()}-1-{server.span.span_id.hex()}"


async def test_a_caller_that_refuses_by_b3_is_not_recorded(tmp_path: Path) -> None:
    refusals = [{"b3": "0"}, {"b3": f"{TRACE}-{CALLER}-0"}, {"X-B3-Sampled": "0"}]
    async with collector() as seen, backend() as one:
        async with proxy(only(one.address), tmp_path, otlp=seen.url) as running:
            for refusal in refusals:
                await get(running.egress_port, "/", **refusal)
        assert seen.spans == []
    alone, whole, several = (request.headers for request in one.received)
    assert whole["b3"] == f"{TRACE}-{CALLER}-0"
    assert (alone["b3"].split("-")[2], several["x-b3-sampled"]) == ("0", "0")
    assert alone["traceparent"].endswith("-00")


async def test_of_the_traces_that_begin_here_a_share_is_recorded(tmp_path: Path) -> None:
    async with collector() as seen, backend() as one:
        async with proxy(only(one.address), tmp_path, otlp=seen.url, trace_share=0.0) as running:
            await get(running.egress_port, "/new")
            await get(running.egress_port, "/known", traceparent=f"00-{TRACE}-{CALLER}-01")
        assert {span.attributes["url.path"] for span in seen.spans} == {"/known"}
        assert one.received[0].headers["traceparent"].endswith("-00")  # so that nobody after us records it either


async def test_a_call_goes_through_both_proxies_in_one_chain(tmp_path: Path) -> None:
    async with collector() as seen, backend() as application:
        for_callee = only("127.0.0.1:1", port=application.port)
        async with proxy(for_callee, tmp_path, beside="api", otlp=seen.url) as callee:
            for_caller = only(f"127.0.0.1:{callee.ingress_port}", port=application.port)
            async with proxy(for_caller, tmp_path, otlp=seen.url) as caller:
                assert (await get(caller.egress_port, "/buy")).status == 200
                await until(lambda: len(seen.spans) == 4)
        by_id = {span.span.span_id: span for span in seen.spans}
        chain = [next(span for span in seen.spans if not span.span.parent_span_id)]
        while following := [span for span in seen.spans if span.span.parent_span_id == chain[-1].span.span_id]:
            chain += following
        assert len(by_id) == len(chain) == 4
        assert [(span.resource["service.name"], span.span.kind, span.attributes["mesh.direction"]) for span in chain] == [
            ("web", 2, "outbound"),
            ("web", 3, "outbound"),
            ("backend", 2, "inbound"),
            ("backend", 3, "inbound"),
        ]
        assert {(span.attributes["http.route"], span.attributes["upstream_cluster.name"]) for span in chain} == {("/", "api")}
        assert chain[2].attributes["mesh.virtual_service"] == "api.local"
        assert chain[3].attributes["peer.service"] == "backend"
        assert application.received[0].headers["traceparent"].split("-")[2] == chain[3].span.span_id.hex()


async def test_a_trace_that_is_not_recorded_stays_so(tmp_path: Path) -> None:
    async with collector() as seen, backend() as one:
        async with proxy(only(one.address), tmp_path, otlp=seen.url) as running:
            await get(running.egress_port, "/", traceparent=f"00-{TRACE}-{CALLER}-00", tracestate="a=1")
            assert one.received[0].headers["traceparent"] == f"00-{TRACE}-{CALLER}-00"
            assert one.received[0].headers["tracestate"] == "a=1"
        assert not seen.spans


async def test_nonsense_begins_a_new_trace(tmp_path: Path) -> None:
    async with collector() as seen, backend() as one:
        async with proxy(only(one.address), tmp_path, otlp=seen.url) as running:
            await get(running.egress_port, "/", traceparent="nonsense", tracestate="a=1")
        assert not of_kind(seen.spans, 2)[0].span.parent_span_id
        assert "tracestate" not in one.received[0].headers


async def test_without_a_collector_the_context_is_passed_on(tmp_path: Path) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path) as running:
        await get(running.egress_port, "/", traceparent=f"00-{TRACE}-{CALLER}-01")
        assert one.received[0].headers["traceparent"] == f"00-{TRACE}-{CALLER}-01"
        assert running.telemetry.spans.created == 0


async def test_a_request_without_a_route_has_a_server_span_only(tmp_path: Path) -> None:
    async with collector() as seen:
        async with proxy(only("127.0.0.1:1"), tmp_path, otlp=seen.url) as running:
            assert (await get(running.egress_port, "/", "nobody")).status == 404
        (span,) = seen.spans
        assert (span.span.name, span.attributes["response_flags"], span.span.kind) == ("GET", "NR", 2)


async def test_a_refused_connection_is_an_error_on_the_way_to_its_service(tmp_path: Path) -> None:
    async with collector() as seen:
        text = only("127.0.0.1:1", http={"retryPolicy": NO_RETRIES})
        async with proxy(text, tmp_path, otlp=seen.url) as running:
            assert (await get(running.egress_port, "/")).status == 503
        (server,), (client,) = of_kind(seen.spans, 2), of_kind(seen.spans, 3)
        assert (client.attributes["error.type"], client.attributes["response_flags"]) == ("connect_failure", "UF")
        assert "http.response.status_code" not in client.attributes
        assert (client.attributes["peer.service"], client.attributes["server.port"]) == ("backend", 1)
        assert (server.attributes["response_flags"], server.attributes["http.response.status_code"]) == ("UF", 503)
        assert (client.span.status.code, server.span.status.code) == (2, 2)


async def test_a_dead_collector_does_not_disturb_the_traffic(tmp_path: Path) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path, otlp="http://127.0.0.1:1") as running:
        assert {(await get(running.egress_port, "/")).status for _ in range(50)} == {200}
        spans = running.telemetry.spans
        assert (spans.created, spans.exported) == (100, 0)
        await running.stop()
        assert spans.dropped == {"shutdown": 100}


async def test_a_collector_that_is_busy_gets_everything_later_and_once(tmp_path: Path) -> None:
    async with collector() as seen, backend() as one, proxy(only(one.address), tmp_path, otlp=seen.url) as running:
        seen.status = 503
        await get(running.egress_port, "/")
        await until(lambda: running.telemetry.spans.created == 2)
        await asyncio.sleep(0.6)
        assert running.telemetry.spans.exported == 0
        seen.status = 200
        await until(lambda: running.telemetry.spans.exported == 2)
        assert len(seen.spans) == 2


async def test_a_batch_refused_for_good_is_counted(tmp_path: Path) -> None:
    async with collector() as seen, backend() as one, proxy(only(one.address), tmp_path, otlp=seen.url) as running:
        seen.status = 400
        await get(running.egress_port, "/")
        await until(lambda: running.telemetry.spans.dropped["refused"] == 2)


async def page(running: Proxy, method: str, path: str) -> tuple[int, dict[str, object]]:
    server = await serve_admin(running, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answer = await ask(port, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    server.close()
    content = json.loads(answer.body)
    assert isinstance(content, dict)
    return answer.status, content


async def test_stats_count_what_happened(tmp_path: Path) -> None:
    left = [Reply(503), Reply(200), Reply(404)]
    async with (
        collector() as seen,
        backend(lambda _: left.pop(0)) as one,
        proxy(only(one.address), tmp_path, otlp=seen.url) as running,
    ):
        await get(running.egress_port, "/")
        await get(running.egress_port, "/")
        await get(running.egress_port, "/", "nobody")
        await until(lambda: running.telemetry.spans.exported == 6)
        status, stats = await page(running, "GET", "/stats")
        assert status == 200
        assert stats["outbound"] == {
            "requests": 3,
            "in_flight": 0,
            "connections": 0,
            "statuses": {"2xx": 1, "4xx": 2},
            "response_flags": {"NR": 1},
            "attempts": 3,
            "retries": 1,
            "refused": {},
            "mirrored": {},
        }
        assert stats["spans"] == {"created": 6, "exported": 6, "held": 0, "dropped": {}}
        assert stats["targets"] == {
            "api": {
                "service": "backend",
                "version": "v1",
                "circuit": "closed",
                "active": 0,
                "active_retries": 0,
                "ejections": 0,
                "refused_ejections": 0,
                "panic": False,
                "overflows": 0,
                "health_checks": None,
                "endpoints": [
                    {
                        "address": one.address,
                        "zone": "",
                        "weight": 1.0,
                        "healthy": True,
                        "ejected": False,
                        "failures": 0,
                        "multiplier": 0,
                        "connections": 1,
                        "idle": 1,
                        "waiting": 0,
                    }
                ],
            },
            "web (application)": stats["targets"]["web (application)"],  # type: ignore[index]
        }
        assert await page(running, "GET", "/ready") == (200, {"state": "ready"})
        assert (await page(running, "GET", "/config"))[1]["virtual_node"] == "web"
        assert (await page(running, "GET", "/clusters"))[1].keys() == stats["targets"].keys()  # type: ignore[attr-defined]
        assert (await page(running, "GET", "/nothing"))[0] == 404
        assert (await page(running, "GET", "/reload"))[0] == 405


async def test_a_reload_swaps_the_table_and_keeps_what_did_not_change(tmp_path: Path) -> None:
    async with collector() as seen, backend() as one, backend() as two:
        nodes = [node("one", [one.address]), node("two", [two.address])]
        async with proxy(mesh([route("all", "/", {"one": 1})], nodes), tmp_path, otlp=seen.url) as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
            writer.write(b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\n")
            await answer_from(reader)
            before = running.live.targets[0]
            running.settings.mesh_file.write_text(mesh([route("all", "/", {"one": 1}), route("two", "/two", {"two": 1})], nodes))
            assert await page(running, "POST", "/reload") == (200, {"accepted": True})
            for target in (b"/", b"/two"):
                writer.write(b"GET %b HTTP/1.1\r\nHost: api.local\r\n\r\n" % target)
                assert (await answer_from(reader)).status == 200
            assert running.live.targets[0] is before
            assert (one.connections, two.connections, len(two.received)) == (1, 1, 1)
            writer.close()
        told = [(event["event.action"], event["event.reason"], event["source"]) for event in seen.events]
        assert told == [("accepted", "started", "web"), ("accepted", "reloaded", "web")]


async def test_an_invalid_file_keeps_the_old_table(tmp_path: Path) -> None:
    async with collector() as seen, backend() as one:
        async with proxy(only(one.address), tmp_path, otlp=seen.url) as running:
            old = running.live
            running.settings.mesh_file.write_text(only(one.address).replace('"weight": 1', '"weight": 1000'))
            status, content = await page(running, "POST", "/reload")
            assert (status, content["code"]) == (400, "mesh_file_invalid")
            assert "weightedTargets[0].weight: got 1000" in str(content["problems"])
            running.settings.mesh_file.unlink()
            assert (await page(running, "POST", "/reload"))[1]["code"] == "mesh_file_unreadable"
            assert running.live is old
            assert (await get(running.egress_port, "/")).status == 200
            assert (running.accepted, running.rejected) == (1, 2)
        rejected = [event for event in seen.events if event["event.action"] == "rejected"]
        assert [event["event.reason"] for event in rejected] == ["mesh_file_invalid", "mesh_file_unreadable"]


async def test_a_target_that_left_the_mesh_lets_its_connections_go(tmp_path: Path) -> None:
    async with backend() as one, backend() as two:
        nodes = [node("one", [one.address]), node("two", [two.address])]
        async with proxy(mesh([route("all", "/", {"one": 1})], nodes), tmp_path) as running:
            await get(running.egress_port, "/")
            gone = running.live.targets[0]
            running.settings.mesh_file.write_text(mesh([route("all", "/", {"two": 1})], nodes))
            running.reload()
            await until(lambda: not gone.pools[one.address].open)
            assert (await get(running.egress_port, "/")).status == 200
            assert len(two.received) == 1
