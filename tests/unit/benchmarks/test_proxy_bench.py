"""The proxy's benchmark: its open-loop client, and what it writes down."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.proxy_open_loop import Incomplete, arrivals, drive, percentile
from benchmarks.proxy_report import NOT_THERE_YET, result_of, table
from benchmarks.samples import Samples

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@contextmanager
def server(most: int, answer: bytes = ANSWER) -> Iterator[int]:
    """Answer only when ``most`` requests wait at the same time; all of them then."""
    loop, ready, ports = asyncio.new_event_loop(), threading.Event(), list[int]()
    waiting: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                waiting.append(writer)
                if len(waiting) == most:
                    for each in waiting:
                        each.write(answer)
                    waiting.clear()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def listen() -> None:
        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        ports.append(listener.sockets[0].getsockname()[1])
        ready.set()
        stop = asyncio.Event()
        stops.append(stop)
        await stop.wait()
        listener.close()

    stops: list[asyncio.Event] = []
    thread = threading.Thread(target=loop.run_until_complete, args=(listen(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stops[0].set)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def test_requests_begin_when_it_is_their_time_whatever_became_of_those_before() -> None:
    with server(most=8) as port:
        latencies = drive(port, REQUEST, [number / 1000 for number in range(16)], connections=8)
    assert len(latencies) == 16


def test_a_request_that_has_to_wait_for_a_connection_is_late() -> None:
    with server(most=1) as port:
        latencies = drive(port, REQUEST, [0.0] * 20, connections=1)
    assert latencies == sorted(latencies), "all were due at once, and each had to wait for the one before it"


def test_an_answer_without_success_voids_the_run() -> None:
    with server(most=1, answer=b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n") as port, pytest.raises(Incomplete, match="503"):
        drive(port, REQUEST, [0.0])


def test_arrivals_have_their_rate_and_are_the_same_for_the_same_seed() -> None:
    moments = arrivals(1000, 10, seed=1)
    assert len(moments) == pytest.approx(10_000, rel=0.05)
    assert moments == sorted(arrivals(1000, 10, seed=1))
    assert moments[:9] != arrivals(1000, 10, seed=2)[:9]


def test_percentiles() -> None:
    assert [percentile(range(100), share) for share in (0.5, 0.99, 1.0)] == [50, 99, 99]


def test_ratios_are_ours_to_envoys_and_what_is_missing_is_said() -> None:
    figures = {
        "ours_traced_cpu_us": [30.0, 31.0, 99.0],
        "envoy_traced_cpu_us": [60.0, 62.0, 64.0],
        "direct_p99_ms": [1.0],
        "ours_p99_ms": [1.5],
        "envoy_p99_ms": [2.0],
    }
    result = result_of(Samples(figures), {"seconds_per_round": 3})
    assert result["ratios"] == {"http1_traced_cpu": 0.5, "mtls_cpu": None, "p99_added": 0.5, "rss": None, "grpc_cpu": None}
    assert result["peers"]["envoy"]["p99_added_ms"] == 1.0
    assert f"mTLS between them, CPU us a request | {NOT_THERE_YET}" in table(result)
