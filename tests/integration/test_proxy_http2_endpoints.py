"""HTTP/2 endpoints behind the proxy: refusals, resets, GOAWAY, limits, and clients of either protocol before them."""

import asyncio
from pathlib import Path

import httpx
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame

from tests.fakes.http2_server import Asked, http2_server
from tests.fakes.http_peers import Reply, answer_from, backend, get, until
from tests.fakes.proxies import NO_RETRIES, only, proxy, retries


async def test_http1_clients_reach_http2_endpoints_with_bodies_and_trailers(tmp_path: Path) -> None:
    async with (
        http2_server(lambda asked: asked.answer(asked.body, 201, {"x-sum": "7"})) as one,
        proxy(only(one.address, protocol="http2"), tmp_path) as running,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        head = b"POST /a?b HTTP/1.1\r\nHost: api.local:80\r\nX-Mine: 1\r\nConnection: x-hop\r\nX-Hop: 1\r\nTE: trailers\r\n"
        for _ in range(2):
            writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Trailer: 5\r\n\r\n")
            answer = await reader.readuntil(b"x-sum: 7\r\n\r\n")
            assert answer == b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n"
        got = one.asked[1]
        assert got.body == b"abc"
        assert got.trailers == {"x-trailer": "5"}
        assert {":method": "POST", ":path": "/a?b", ":authority": "api.local:80", "x-mine": "1", "te": "trailers"}.items() <= (
            got.headers.items()
        )
        assert not {"x-hop", "connection", "transfer-encoding", "host"} & got.headers.keys()
        assert one.connections == 1
        writer.close()


async def test_answers_without_a_body_end_at_once_for_http1_clients(tmp_path: Path) -> None:
    def bare(asked: Asked) -> None:
        asked.connection.h2.send_headers(asked.stream_id, [(":status", asked.headers["x-status"])], end_stream=True)

    async with http2_server(bare) as one, proxy(only(one.address, protocol="http2"), tmp_path) as running:
        for status, length in ((200, "0"), (204, None)):
            answer = await get(running.egress_port, "/", x_status=str(status))
            assert (answer.status, answer.headers.get("content-length"), answer.body) == (status, length, b"")


async def test_a_refused_stream_is_tried_again(tmp_path: Path) -> None:
    def refuse_first(asked: Asked) -> None:
        asked.reset(ErrorCodes.REFUSED_STREAM) if len(one.asked) == 1 else asked.answer()

    text = {"retryPolicy": retries("stream-error", limit=1)}
    async with http2_server(refuse_first) as one, proxy(only(one.address, protocol="http2", http=text), tmp_path) as running:
        assert (await get(running.egress_port, "/")).status == 200
        assert (len(one.asked), running.egress.counts.retries) == (2, 1)


async def test_a_reset_stream_is_answered_and_told(tmp_path: Path) -> None:
    text = {"retryPolicy": retries("stream-error", limit=1)}
    async with (
        http2_server(lambda asked: asked.reset(ErrorCodes.INTERNAL_ERROR)) as one,
        proxy(only(one.address, protocol="http2", http=text), tmp_path) as running,
    ):
        answer = await get(running.egress_port, "/")
        assert (answer.status, answer.body.decode().rpartition(": ")[2]) == (503, "remote reset")
        assert running.egress.counts.flags == {"UR": 1}
        assert len(one.asked) == 1, "a stream that was worked on is no refused one"


@pytest.mark.parametrize("http2", [True, False])
async def test_an_answer_that_breaks_off_is_seen_to_be_broken(tmp_path: Path, http2: bool) -> None:
    def break_off(asked: Asked) -> None:
        asked.connection.h2.send_headers(asked.stream_id, [(":status", "200")])
        asked.connection.h2.send_data(asked.stream_id, b"part")
        asked.reset(ErrorCodes.INTERNAL_ERROR)

    async with (
        http2_server(break_off) as one,
        proxy(only(one.address, protocol="http2"), tmp_path) as running,
        httpx.AsyncClient(http1=not http2, http2=http2) as asking,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await asking.get(f"http://127.0.0.1:{running.egress_port}/", headers={"host": "api.local"})
        assert running.egress.counts.flags == {"UR": 1}


async def test_goaway_lets_its_streams_end_and_sends_the_others_elsewhere(tmp_path: Path) -> None:
    waiting: list[Asked] = []

    def leave(asked: Asked) -> None:
        if asked.connection.number > 1:
            asked.answer(b"second")
            return
        waiting.append(asked)
        if len(waiting) == 2:
            first = min(waiting, key=lambda each: each.stream_id)
            asked.connection.writer.write(GoAwayFrame(0, last_stream_id=first.stream_id).serialize())

    async with http2_server(leave) as one, proxy(only(one.address, protocol="http2"), tmp_path) as running:
        asking = [asyncio.create_task(get(running.egress_port, "/")) for _ in range(2)]
        await until(lambda: any(each.done() for each in asking))
        first = min(waiting, key=lambda each: each.stream_id)
        first.answer(b"first")
        answers = await asyncio.gather(*asking)
        assert sorted((answer.status, answer.body) for answer in answers) == [(200, b"first"), (200, b"second")]
        assert running.egress.counts.retries == 1
        pool = running.live.targets[0].pools[one.address]
        await until(lambda: pool.open == 1)
        assert one.connections == 2


async def test_no_connection_has_more_streams_than_the_endpoint_takes(tmp_path: Path) -> None:
    waiting: list[Asked] = []
    async with (
        http2_server(waiting.append, most_streams=2) as one,
        proxy(only(one.address, protocol="http2"), tmp_path) as running,
    ):
        asking = [asyncio.create_task(get(running.egress_port, "/")) for _ in range(6)]
        await until(lambda: len(waiting) == 6)
        assert one.connections == 3
        for asked in waiting:
            asked.answer()
        assert {(await each).status for each in asking} == {200}


async def test_the_limit_of_requests_holds(tmp_path: Path) -> None:
    waiting: list[Asked] = []
    text = only("{}", protocol="http2", http={"retryPolicy": NO_RETRIES}, connectionPool={"http2": {"maxRequests": 3}})
    async with http2_server(waiting.append) as one, proxy(text.replace("{}", one.address), tmp_path) as running:
        asking = [asyncio.create_task(get(running.egress_port, "/")) for _ in range(5)]
        await until(lambda: len(waiting) == 3 and sum(each.done() for each in asking) == 2)
        for asked in waiting:
            asked.answer()
        assert sorted([(await each).status for each in asking]) == [200, 200, 200, 503, 503]
        assert running.egress.counts.flags == {"UO": 2}
        another = asyncio.create_task(get(running.egress_port, "/"))
        await until(lambda: len(waiting) == 4)
        waiting[3].answer()
        assert (await another).status == 200


async def test_a_client_that_goes_resets_its_stream_only(tmp_path: Path) -> None:
    waiting: list[Asked] = []
    async with http2_server(waiting.append) as one, proxy(only(one.address, protocol="http2"), tmp_path) as running:
        _, leaving = await asyncio.open_connection("127.0.0.1", running.egress_port)
        leaving.write(b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\n")
        await until(lambda: waiting)
        staying = asyncio.create_task(get(running.egress_port, "/"))
        await until(lambda: len(waiting) == 2)
        leaving.close()
        await until(lambda: one.resets == 1)
        waiting[1].answer()
        assert (await staying).status == 200
        assert one.connections == 1


async def test_an_endpoint_that_speaks_http1_is_a_failure_to_connect(tmp_path: Path) -> None:
    async with backend(lambda _: Reply()) as one, proxy(only(one.address, protocol="http2"), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\n")
        assert (await answer_from(reader)).status == 503
        assert running.egress.counts.flags == {"UF,URX": 1}
        writer.close()
