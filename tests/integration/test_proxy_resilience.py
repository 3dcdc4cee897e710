import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.http_peers import Received, Reply, backend, collector, get, until
from tests.fakes.proxies import NO_RETRIES, OUTLIER, only, proxy, retries


def answers(*replies: Reply) -> Callable[[Received], Reply]:
    """Give the replies one after the other; the last one again and again."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def forever() -> Reply:
    return Reply(wait=asyncio.Event().wait)


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def test_a_503_is_tried_again_and_the_client_sees_the_success(tmp_path: Path) -> None:
    async with (
        backend(answers(Reply(503), Reply(503), Reply(200, b"fine"))) as one,
        proxy(only(one.address), tmp_path) as running,
    ):
        answer = await get(running.egress_port, "/")
        assert (answer.status, answer.body) == (200, b"fine")
        assert running.egress.counts.retries == 2
        assert one.connections == 1, "the failed answers were short enough to keep the connection"


async def test_when_retries_are_used_up_the_last_answer_is_given(tmp_path: Path) -> None:
    async with backend(lambda _: Reply(503, b"mine")) as one, proxy(only(one.address), tmp_path) as running:
        answer = await get(running.egress_port, "/")
        assert (answer.status, answer.body) == (503, b"mine")
        assert len(one.received) == 3
        assert running.egress.counts.flags == {"URX": 1}


@pytest.mark.parametrize(("length", "attempts"), [(1_000, 3), (200_000, 1)])
async def test_only_short_bodies_are_sent_again(tmp_path: Path, length: int, attempts: int) -> None:
    async with backend(lambda _: Reply(503)) as one, proxy(only(one.address), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"POST / HTTP/1.1\r\nHost: api.local\r\nContent-Length: %d\r\n\r\n" % length + b"x" * length)
        assert (await reader.readline()).startswith(b"HTTP/1.1 503")
        writer.close()
        assert [len(request.body) for request in one.received] == [length] * attempts


async def test_a_retry_goes_to_an_endpoint_not_tried_yet(tmp_path: Path) -> None:
    async with (
        backend(lambda _: Reply(503)) as bad,
        backend() as good,
        proxy(only(bad.address, good.address), tmp_path) as running,
    ):
        assert [(await get(running.egress_port, "/")).status for _ in range(6)] == [200] * 6
        assert running.egress.counts.retries == len(bad.received)


async def test_a_retry_after_longer_than_the_time_left_is_an_answer(tmp_path: Path) -> None:
    async with backend(lambda _: Reply(503, headers={"Retry-After": "60"})) as one, proxy(only(one.address), tmp_path) as running:
        answer = await get(running.egress_port, "/")
        assert (answer.status, answer.headers["retry-after"]) == (503, "60")
        assert len(one.received) == 1


async def test_a_refused_connection_is_503_uf(tmp_path: Path, nobody: str) -> None:
    async with proxy(only(nobody, http={"retryPolicy": NO_RETRIES}), tmp_path) as running:
        answer = await get(running.egress_port, "/")
        assert (answer.status, answer.body.endswith(b"connection failure")) == (503, True)
        assert running.egress.counts.flags == {"UF": 1}


async def test_a_connection_lost_before_the_answer_is_503_uc(tmp_path: Path) -> None:
    async with backend(lambda _: Reply(raw=b"", cut=True)) as one:
        text = only(one.address, http={"retryPolicy": NO_RETRIES})
        async with proxy(text, tmp_path) as running:
            assert (await get(running.egress_port, "/")).status == 503
            assert running.egress.counts.flags == {"UC": 1}


async def test_an_answer_that_breaks_off_breaks_off_for_the_client_too(tmp_path: Path) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"
    async with backend(lambda _: Reply(raw=raw, cut=True)) as one, proxy(only(one.address), tmp_path) as running:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await get(running.egress_port, "/")
        assert running.egress.counts.flags == {"UC": 1}
        assert len(one.received) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ],
)
async def test_an_answer_that_is_not_http_is_502_upe(tmp_path: Path, raw: bytes) -> None:
    async with backend(lambda _: Reply(raw=raw)) as one, proxy(only(one.address), tmp_path) as running:
        assert (await get(running.egress_port, "/")).status == 502
        assert running.egress.counts.flags == {"UPE": 1}


async def test_bytes_after_an_answer_never_reach_the_next_request(tmp_path: Path) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    async with backend(lambda _: Reply(raw=raw)) as one, proxy(only(one.address), tmp_path) as running:
        assert [(await get(running.egress_port, "/")).body for _ in range(3)] == [b"ok"] * 3
        assert one.connections == 3


async def test_the_whole_request_has_its_time(tmp_path: Path) -> None:
    timeout = {"perRequest": {"unit": "ms", "value": 150}}
    async with backend(lambda _: forever()) as one, proxy(only(one.address, http={"timeout": timeout}), tmp_path) as running:
        answer = await get(running.egress_port, "/")
        assert (answer.status, answer.body) == (504, b"upstream request timeout")
        assert running.egress.counts.flags == {"UT": 1}
        assert len(one.received) == 1


async def test_each_try_has_its_time_and_the_next_may_succeed(tmp_path: Path) -> None:
    policy = retries("gateway-error", limit=2, per_try_ms=100)
    async with (
        backend(answers(forever(), Reply(200, b"second"))) as one,
        proxy(only(one.address, http={"retryPolicy": policy}), tmp_path) as running,
    ):
        assert (await get(running.egress_port, "/")).body == b"second"
        assert running.egress.counts.retries == 1


async def test_a_short_time_is_kept_while_a_long_one_runs(tmp_path: Path) -> None:
    policy = retries("client-error", limit=1, per_try_ms=100)
    async with backend(lambda _: forever()) as one, proxy(only(one.address, http={"retryPolicy": policy}), tmp_path) as running:
        assert (await asyncio.wait_for(get(running.egress_port, "/"), 5)).status == 504


async def test_more_pending_requests_than_allowed_are_503_uo(tmp_path: Path) -> None:
    gate = asyncio.Event()
    pool = {"http": {"maxConnections": 1, "maxPendingRequests": 1}}
    async with collector() as seen, backend(lambda _: Reply(wait=gate.wait)) as one:
        text = only(one.address, connectionPool=pool, http={"retryPolicy": NO_RETRIES})
        async with proxy(text, tmp_path, otlp=seen.url) as running:
            first = asyncio.create_task(get(running.egress_port, "/1"))
            await until(lambda: one.received)
            second = asyncio.create_task(get(running.egress_port, "/2"))
            await until(lambda: running.live.targets[0].pools[one.address].waiting)
            third = await get(running.egress_port, "/3")
            assert (third.status, third.body.endswith(b"overflow")) == (503, True)
            gate.set()
            assert [(await first).status, (await second).status] == [200, 200]
            assert one.connections == 1
            assert running.egress.counts.flags == {"UO": 1}
        overflow = [event for event in seen.events if event["event.action"] == "overflow"]
        assert overflow[0]["event.reason"] == "connections_overflow"
        assert {event["destination"] for event in overflow} == {"backend"}
        (refused,) = [span for span in seen.spans if span.span.kind == 3 and span.attributes["url.path"] == "/3"]
        assert refused.attributes["error.type"] == "overflow"


async def test_the_ingress_keeps_the_limits_of_its_own_listener(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with backend(lambda _: Reply(wait=gate.wait)) as application:
        text = only("127.0.0.1:1", port=application.port, connectionPool={"http": {"maxConnections": 1, "maxPendingRequests": 1}})
        async with proxy(text, tmp_path, beside="api") as running:
            first = asyncio.create_task(get(running.ingress_port, "/1"))
            await until(lambda: application.received)
            second = asyncio.create_task(get(running.ingress_port, "/2"))
            await until(lambda: running.live.targets[0].pools[application.address].waiting)
            assert (await get(running.ingress_port, "/3")).status == 503
            gate.set()
            assert [(await first).status, (await second).status] == [200, 200]


async def test_a_circuit_opens_fails_fast_half_opens_and_closes(tmp_path: Path) -> None:
    healthy = False
    async with collector() as seen, backend(lambda _: Reply(200 if healthy else 500)) as one:
        async with proxy(only(one.address, outlierDetection=OUTLIER), tmp_path, otlp=seen.url) as running:
            assert [(await get(running.egress_port, "/")).status for _ in range(2)] == [500, 500]
            refused = await get(running.egress_port, "/")
            assert (refused.status, refused.body) == (503, b"no healthy upstream")
            assert len(one.received) == 2
            target = running.live.targets[0]
            await until(lambda: target.state == "half_open")
            assert (await get(running.egress_port, "/")).status == 500
            assert target.state == "open"
            healthy = True
            await until(lambda: target.state == "half_open")
            assert (await get(running.egress_port, "/")).status == 200
            assert target.state == "closed"
        told = [
            (event["name"], event["event.action"], event["event.reason"])
            for event in seen.events
            if event["name"] != "mesh.config"
        ]
        assert told == [
            ("mesh.outlier_detection", "ejected", "consecutive_5xx"),
            ("mesh.circuit_breaker", "opened", "consecutive_5xx"),
            ("mesh.circuit_breaker", "half_opened", "cooldown_elapsed"),
            ("mesh.outlier_detection", "ejected", "probe_failed"),
            ("mesh.circuit_breaker", "opened", "probe_failed"),
            ("mesh.circuit_breaker", "half_opened", "cooldown_elapsed"),
            ("mesh.outlier_detection", "unejected", "probe_succeeded"),
            ("mesh.circuit_breaker", "closed", "probe_succeeded"),
        ]
        ejected = next(event for event in seen.events if event["event.action"] == "ejected")
        assert ejected["endpoint"] == one.address
        assert (ejected["source"], ejected["destination"], ejected["target"]) == ("web", "backend", "api")
        (fast,) = [span for span in seen.spans if span.span.kind == 3 and span.attributes["response_flags"] == "UH"]
        assert fast.attributes["error.type"] == "no_healthy_upstream"
        example = next(record for record in seen.records if record.trace_id)
        assert example.trace_id in {span.span.trace_id for span in seen.spans}


async def test_one_bad_endpoint_is_left_alone_and_the_others_go_on(tmp_path: Path) -> None:
    async with (
        backend(lambda _: Reply(500)) as bad,
        backend() as good,
        proxy(only(bad.address, good.address, outlierDetection=OUTLIER), tmp_path) as running,
    ):
        statuses = [(await get(running.egress_port, "/")).status for _ in range(20)]
        assert statuses.count(500) <= 4
        assert len(bad.received) <= 4
        assert running.live.targets[0].state == "closed"


async def test_only_one_probe_is_on_its_way(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with (
        backend(answers(Reply(500), Reply(500), Reply(200, wait=gate.wait))) as one,
        proxy(only(one.address, outlierDetection=OUTLIER), tmp_path) as running,
    ):
        for _ in range(2):
            await get(running.egress_port, "/")
        await until(lambda: running.live.targets[0].state == "half_open")
        probe = asyncio.create_task(get(running.egress_port, "/"))
        await until(lambda: len(one.received) == 3)
        assert [(await get(running.egress_port, "/")).status for _ in range(3)] == [503] * 3
        gate.set()
        assert (await probe).status == 200
        assert (await get(running.egress_port, "/")).status == 200


async def test_a_client_that_leaves_frees_everything(tmp_path: Path) -> None:
    async with backend(lambda _: forever()) as one, proxy(only(one.address), tmp_path) as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\n")
        await until(lambda: one.received)
        writer.close()
        await until(lambda: running.egress.counts.flags == {"DC": 1})
        await until(lambda: not running.live.targets[0].pools[one.address].open)
        assert running.live.targets[0].active == 0
        assert not running.egress.connections


async def test_a_kept_connection_the_endpoint_closed_is_not_used(tmp_path: Path) -> None:
    async with backend(lambda _: Reply(cut=True)) as one, proxy(only(one.address), tmp_path) as running:
        for number in range(1, 4):
            assert (await get(running.egress_port, "/")).status == 200
            await until(lambda: not running.live.targets[0].pools[one.address].open)
            assert one.connections == number


async def test_a_client_that_leaves_between_two_tries_gives_its_retry_back(tmp_path: Path) -> None:
    reply = Reply(503, headers={"Retry-After": "5"})
    async with backend(lambda _: reply) as one, proxy(only(one.address), tmp_path) as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\n")
        target = running.live.targets[0]
        await until(lambda: target.active_retries == 1)
        writer.close()
        await until(lambda: target.active_retries == target.active == 0)
        assert len(one.received) == 1


async def test_a_name_is_resolved_for_every_connection(tmp_path: Path) -> None:
    async with backend() as one:
        document = json.loads(only(one.address, port=one.port))
        document["virtualNodes"][1]["spec"]["serviceDiscovery"] = {"dns": {"hostname": "localhost"}}
        async with proxy(json.dumps(document), tmp_path) as running:
            assert (await get(running.egress_port, "/")).status == 200
            assert list(running.live.targets[0].pools) == [f"localhost:{one.port}"]
