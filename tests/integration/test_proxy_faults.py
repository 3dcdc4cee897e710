"""What tags ask a companion proxy to do to requests: limits, faults, mirroring and other headers."""

import asyncio
from pathlib import Path

import httpx
import pytest

from mesh_model.targets import UnknownMirror
from mesh_proxy.admin.pages import stats
from mesh_proxy.mesh_files import read_table
from tests.fakes.http_peers import Reply, ask, backend, collector, get, until
from tests.fakes.proxies import NO_RETRIES, mesh, node, only, proxy, route, tagged


async def test_a_rate_limit_refuses_what_is_too_much_and_says_when_to_come_again(tmp_path: Path) -> None:
    async with collector() as seen, backend() as one:
        text = tagged(only(one.address), route={"rate-limit": "6/h burst=2"})
        async with proxy(text, tmp_path, otlp=seen.url) as running:
            answers = [await get(running.egress_port, "/") for _ in range(3)]
            assert [answer.status for answer in answers] == [200, 200, 429]
            told = {name: value for name, value in answers[2].headers.items() if name.startswith("x-ratelimit")}
            assert told == {"x-ratelimit-limit": "2", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "600"}
            assert answers[2].body == b"local_rate_limited"
            assert running.egress.counts.flags == {"RL": 1}
            assert len(one.received) == 2
        (refused,) = [span for span in seen.spans if span.attributes["response_flags"] == "RL"]
        assert (refused.span.kind, refused.attributes["http.response.status_code"]) == (2, 429)


async def test_each_user_has_a_limit_of_their_own(tmp_path: Path) -> None:
    async with (
        backend() as one,
        proxy(tagged(only(one.address), route={"rate-limit": "1/h header=x-user"}), tmp_path) as running,
    ):
        users = ("ann", "ann", "ben", "ben")
        assert [(await get(running.egress_port, "/", x_user=user)).status for user in users] == [200, 429, 200, 429]


async def test_a_nodes_own_limit_is_kept_at_its_door_and_a_routes_is_not(tmp_path: Path) -> None:
    async with backend() as application:
        text = only("127.0.0.1:1", port=application.port)
        both = tagged(text, node={"rate-limit": "1/h burst=2"}, route={"rate-limit": "1/h", "fault-abort": "500"})
        async with proxy(both, tmp_path, beside="api") as running:
            assert [(await get(running.ingress_port, "/")).status for _ in range(3)] == [200, 200, 429]


async def test_a_limit_stays_used_up_when_the_mesh_is_read_anew(tmp_path: Path) -> None:
    async with backend() as one, proxy(tagged(only(one.address), route={"rate-limit": "1/h"}), tmp_path) as running:
        assert (await get(running.egress_port, "/")).status == 200
        running.reload()
        assert (await get(running.egress_port, "/")).status == 429
        told = stats(running)[1]["limits"]  # type: ignore[index]
        assert told == {"outbound api.local all": {"rate_limit_refused": 1, "rate_limit_keys_evicted": 0}}
        (tmp_path / "web.json").write_text(tagged(only(one.address), route={"rate-limit": "2/h"}))
        running.reload()
        assert (await get(running.egress_port, "/")).status == 200, "another limit begins anew"


async def test_a_door_takes_no_more_at_a_time_than_the_application_bears(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with backend(lambda _: Reply(wait=gate.wait)) as application:
        text = tagged(only("127.0.0.1:1", port=application.port), node={"adaptive-concurrency": "on least=2"})
        async with proxy(text, tmp_path, beside="api") as running:
            asked = [asyncio.create_task(get(running.ingress_port, "/")) for _ in range(2)]
            await until(lambda: len(application.received) == 2)
            refused = await get(running.ingress_port, "/")
            assert (refused.status, refused.body) == (503, b"reached concurrency limit")
            assert running.ingress.counts.flags == {"UO": 1}
            gate.set()
            assert [(await each).status for each in asked] == [200, 200]
            assert [(await get(running.ingress_port, "/")).status for _ in range(4)] == [200] * 4


async def test_a_door_refuses_a_share_while_the_application_fails(tmp_path: Path) -> None:
    async with backend(lambda _: Reply(500)) as application:
        text = tagged(only("127.0.0.1:1", port=application.port), node={"admission-control": "on"})
        async with proxy(text, tmp_path, beside="api") as running:
            statuses = [(await get(running.ingress_port, "/")).status for _ in range(60)]
            assert statuses[0] == 500
            assert 20 < statuses.count(503) < 60
            assert len(application.received) == statuses.count(500)


async def test_faults_delay_and_abort_those_who_ask_for_them(tmp_path: Path) -> None:
    async with collector() as seen, backend() as one:
        tags = {"fault-delay": "200ms header=x-slow", "fault-abort": "418 header=x-fault:on"}
        async with proxy(tagged(only(one.address), route=tags), tmp_path, otlp=seen.url) as running:
            loop = asyncio.get_running_loop()
            assert (await get(running.egress_port, "/")).status == 200
            before = loop.time()
            assert (await get(running.egress_port, "/slow", x_slow="1")).status == 200
            assert loop.time() - before >= 0.2
            aborted = await get(running.egress_port, "/", x_fault="on")
            assert (aborted.status, aborted.body) == (418, b"fault filter abort")
            assert (await get(running.egress_port, "/", x_fault="off")).status == 200
            before = loop.time()
            assert (await get(running.egress_port, "/", x_fault="on", x_slow="1")).status == 418
            assert loop.time() - before >= 0.2
            assert running.egress.counts.flags == {"DI": 1, "FI": 1, "DI,FI": 1}
            assert len(one.received) == 3
        flags = {span.attributes["response_flags"] for span in seen.spans if span.span.kind == 2}
        assert flags == {"-", "DI", "FI", "DI,FI"}


async def test_a_client_that_leaves_during_a_delay_frees_everything(tmp_path: Path) -> None:
    async with (
        backend() as one,
        proxy(tagged(only(one.address), route={"fault-delay": "60s"}), tmp_path) as running,
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\n")
        target = running.live.targets[0]
        await until(lambda: target.active == 1)
        writer.close()
        await until(lambda: running.egress.counts.flags == {"DC,DI": 1})
        assert (target.active, one.received) == (0, [])


async def test_a_share_of_requests_is_aborted(tmp_path: Path) -> None:
    async with (
        backend() as one,
        proxy(tagged(only(one.address), route={"fault-abort": "503 percent=50"}), tmp_path) as running,
    ):
        statuses = [(await get(running.egress_port, "/")).status for _ in range(60)]
        assert 10 < statuses.count(503) < 50


async def test_headers_are_edited_both_ways(tmp_path: Path) -> None:
    tags = {
        "request-header-remove/x-debug": "",
        "request-header-set/x-env": "prod 1",
        "request-header-add/x-hop": "mesh",
        "response-header-remove/server": "",
        "response-header-set/cache-control": "no-store",
        "response-header-add/x-answer": "1",
    }
    reply = Reply(headers={"Server": "secret/1.0", "Cache-Control": "public", "X-Kept": "yes"})
    async with backend(lambda _: reply) as one, proxy(tagged(only(one.address), route=tags), tmp_path) as running:
        answer = await get(running.egress_port, "/", x_debug="1", x_env="test", x_other="kept")
        (received,) = one.received
        assert {name: value for name, value in received.headers.items() if name.startswith("x-")} == {
            "x-env": "prod 1",
            "x-hop": "mesh",
            "x-other": "kept",
        }
        told = {name: answer.headers.get(name) for name in ("server", "cache-control", "x-answer", "x-kept")}
        assert told == {"server": None, "cache-control": "no-store", "x-answer": "1", "x-kept": "yes"}


def mirrored(live: str, shadow: str, tag: str = "shadow") -> str:
    text = mesh([route("all", "/", {"api": 1}, retryPolicy=NO_RETRIES)], [node("api", [live]), node("shadow", [shadow])])
    return tagged(text, route={"mirror": tag})


async def test_copies_go_to_the_mirror_and_its_answers_nowhere(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with collector() as seen, backend() as live, backend(lambda _: Reply(500, b"shadow", wait=gate.wait)) as shadow:
        async with proxy(mirrored(live.address, shadow.address), tmp_path, otlp=seen.url) as running:
            assert (await get(running.egress_port, "/a?b=1", x_user="ann")).body == b"ok"
            post = b"POST /form HTTP/1.1\r\nHost: api.local\r\nContent-Length: 5\r\n\r\nhello"
            assert (await ask(running.egress_port, post)).status == 200
            await until(lambda: len(shadow.received) == 2)
            gate.set()
            await until(lambda: running.egress.counts.mirrored["answered"] == 2)
            assert running.egress.counts.statuses[2] == 2
            assert sum(running.egress.counts.statuses) == 2
            assert {target.name: target.active for target in running.live.targets if target.pools} == {
                "api": 0,
                "shadow": 0,
                "web (application)": 0,
            }
        copies = sorted(shadow.received, key=lambda request: request.target)
        assert [(copy.method, copy.target, copy.body) for copy in copies] == [("GET", "/a?b=1", b""), ("POST", "/form", b"hello")]
        assert {copy.headers["x-meshscope-mirrored"] for copy in copies} == {"true"}
        assert copies[0].headers["x-user"] == "ann"
        assert "x-meshscope-mirrored" not in live.received[0].headers
        marked = [span for span in seen.spans if span.attributes.get("mesh.mirrored") == "true"]
        assert {(span.span.kind, span.attributes["peer.service"]) for span in marked} == {(3, "shadow")}
        parents = {span.span.span_id: span for span in seen.spans}
        assert all(parents[span.span.parent_span_id].span.kind == 2 for span in marked)
        assert copies[0].headers["traceparent"].split("-")[2] in {span.span.span_id.hex() for span in marked}


async def test_what_is_too_large_or_too_much_is_not_copied_and_a_dead_mirror_hurts_nobody(tmp_path: Path) -> None:
    async with (
        backend() as live,
        proxy(mirrored(live.address, "127.0.0.1:1"), tmp_path) as running,
    ):
        large = b"POST / HTTP/1.1\r\nHost: api.local\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000)
        assert (await ask(running.egress_port, large)).status == 200
        assert running.egress.counts.mirrored == {"too_large": 1}
        assert (await get(running.egress_port, "/")).status == 200
        await until(lambda: running.egress.counts.mirrored["failed"] == 1)
    forever = asyncio.Event()
    async with (
        backend() as live,
        backend(lambda _: Reply(wait=forever.wait)) as shadow,
        proxy(mirrored(live.address, shadow.address), tmp_path) as running,
    ):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.egress_port}", headers={"host": "api.local"}) as client:
            for _ in range(260):
                assert (await client.get("/")).status_code == 200
        assert running.egress.counts.mirrored["too_many"] == 4


def test_a_mirror_must_be_a_node_of_the_mesh(tmp_path: Path) -> None:
    file = tmp_path / "mesh.json"
    file.write_text(mirrored("127.0.0.1:1", "127.0.0.1:2", "nobody percent=5"))
    with pytest.raises(UnknownMirror, match=r"`all` of `api.local`.*nobody"):
        read_table(file, "web", gateway=False)
