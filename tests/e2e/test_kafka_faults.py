"""Two collects, Kafka, two ingests and one store: what was answered is stored once, whatever is killed, stopped or added.

`make test-faults` does each fault as often and as long as it says there; this suite does it shorter.
"""

import os
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest

from tests.fakes.clickhouse import ClickHouse
from tests.fakes.kafka_mesh import ALONE, SPANS, Collect, Ingest, KafkaMesh, metrics, total
from tests.fakes.load import must_hold
from tests.fakes.processes import Process, free_port, until
from tests.fakes.spans import SERVER, Span, request

FULL = "MESHSCOPE_TEST_ALL_FAULTS" in os.environ
KILLS, GUESTS = (25, 20) if FULL else (2, 1)
KAFKA_AWAY_S, STORE_AWAY_S = (30, 60) if FULL else (3, 4)

pytestmark = pytest.mark.timeout(3600 if FULL else 600)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaMesh]:
    mesh = KafkaMesh(tmp_path_factory.mktemp("faults"))
    yield mesh
    mesh.stop()


def test_ingests_that_are_killed(mesh: KafkaMesh) -> None:
    """Two that share a server, and one of another group, which has its store within it."""
    alone = mesh.ingest_alone()
    with mesh.load():
        for number in range(KILLS):
            until("an ingest storing", lambda: any(ingest.stores() for ingest in mesh.ingests))
            if number == 0 or FULL:
                until("the lone ingest storing", lambda alone=alone: alone.stores())
            time.sleep(random.uniform(0.1, 2))  # any moment: before, within and after an insert
            mesh.ingests[number % 2].kill()
            mesh.ingests[number % 2] = mesh.ingest()
            if number == 0 or FULL:
                alone.kill()
                alone = mesh.ingest_alone()
    spans = mesh.must_have_stored_once()
    mesh.until_stored(ALONE)
    assert alone.stop() == 0, alone.said()
    must_hold(mesh.home / ALONE, spans, calls=spans, edges=spans // SPANS)  # what has no parent in a trace is one call
    assert mesh.answered() > KILLS


def test_collects_that_are_killed(mesh: KafkaMesh) -> None:
    with mesh.load():
        for number in range(KILLS):
            collect = mesh.collects[number % 2]
            until("collect being ready", collect.ready)
            time.sleep(random.uniform(0.1, 1))
            collect.kill()
            mesh.collects[number % 2] = mesh.collect(collect.port)
    assert [answer for sender in mesh.senders for answer in sender.answered.values() if not answer], "no kill met a request"
    mesh.must_have_stored_once()


def test_ingests_that_come_and_go(mesh: KafkaMesh) -> None:
    with mesh.load():
        for _ in range(GUESTS):
            guest = mesh.ingest()
            until("the guest having partitions", lambda guest=guest: guest.stores())
            assert guest.stop() == 0, guest.said()
    mesh.must_have_stored_once()


def test_a_store_that_is_away_for_a_while(mesh: KafkaMesh) -> None:
    with mesh.load():
        mesh.store.kill()
        until("the lag growing", lambda: _lag(mesh) > 20)
        until("the store being missed", lambda: _sum(mesh, "meshscope_store_retries_total") > 0)
        time.sleep(STORE_AWAY_S)
        assert _sum(mesh, "meshscope_ingest_store_refuses") > 0
        assert _sum(mesh, "meshscope_ingest_paused_partitions") > 0
        assert _sum(mesh, "meshscope_ingest_lag_seconds") > STORE_AWAY_S
        mesh.store.again()
    mesh.must_have_stored_once()
    until("the lag being gone", lambda: _lag(mesh) == 0)
    assert _sum(mesh, "meshscope_ingest_store_refuses") == 0
    assert _sum(mesh, "meshscope_ingest_paused_partitions") == 0


def test_kafka_away_for_a_while(mesh: KafkaMesh) -> None:
    with mesh.load() as senders:
        until("requests being answered", lambda: all(sender.answers() for sender in senders))
        mesh.kafka.kill()
        away = [sender.answers() for sender in senders]
        time.sleep(KAFKA_AWAY_S)
        mesh.kafka.up()
        # The first one more may have been on its way back when Kafka was killed.
        until("both collects answering again", lambda: all(s.answers() > n + 1 for s, n in zip(senders, away, strict=True)))
    mesh.must_have_stored_once()
    for process in (*mesh.collects, *mesh.ingests):
        process.check()


def test_a_buffer_that_is_full_is_said_so(mesh: KafkaMesh, tmp_path: Path) -> None:
    body = request(Span("load", SERVER) for _ in range(20))
    collect = Collect(tmp_path / "collect.log", mesh.kafka.servers, settings=(f"MESHSCOPE_MAX_IN_FLIGHT_BYTES={4 * len(body)}",))
    export = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    headers = {"content-type": "application/x-protobuf"}
    try:
        until("collect being ready", collect.ready)
        mesh.kafka.kill()
        with ThreadPoolExecutor(8) as pool, grpc.insecure_channel(f"127.0.0.1:{collect.grpc_port}") as channel:
            waiting = [pool.submit(httpx.post, collect.traces_url, content=body, headers=headers, timeout=60) for _ in range(4)]
            full = until("a full buffer", lambda: _in_flight(collect) >= 4 * len(body))
            assert full
            refused = httpx.post(collect.traces_url, content=body, headers=headers)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
            with pytest.raises(grpc.RpcError) as raised:
                channel.unary_unary(export)(body, timeout=20)
            assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            mesh.kafka.up()
            assert {answer.result().status_code for answer in waiting} <= {200, 429}
        until("room again", lambda: httpx.post(collect.traces_url, content=body, headers=headers, timeout=30).is_success)
        assert total(metrics(collect.metrics_port), "meshscope_refused_requests_total") >= 2
    finally:
        collect.kill()


def test_an_ingest_waits_for_its_store(mesh: KafkaMesh, tmp_path: Path) -> None:
    port = free_port()
    waiting = _ingest_of(mesh, tmp_path / "waiting.log", f"http://127.0.0.1:{port}")
    store = None
    try:
        until("waiting", lambda: waiting.check() or "waiting for the store, trying again" in waiting.said())
        assert "does not answer; is it running, and is clickhouse_url right?" in waiting.said()
        store = ClickHouse(tmp_path / "store", port=port)
        until("storing", waiting.stores)
        assert waiting.stop() == 0, waiting.said()
    finally:
        waiting.kill()
        if store:
            store.kill()


def test_an_ingest_that_waits_can_be_stopped(mesh: KafkaMesh, tmp_path: Path) -> None:
    waiting = _ingest_of(mesh, tmp_path / "stopped.log", f"http://127.0.0.1:{free_port()}")
    try:
        until("waiting", lambda: waiting.check() or "waiting for the store" in waiting.said())
        assert waiting.stop() == 0, waiting.said()
    finally:
        waiting.kill()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://nobody:wrong@127.0.0.1:{}", "does not let us in; check clickhouse_user"),
        ("https://127.0.0.1:{}", "does not speak TLS"),
    ],
    ids=["log-in", "TLS"],
)
def test_an_ingest_does_not_wait_for_what_will_not_get_better(mesh: KafkaMesh, tmp_path: Path, url: str, says: str) -> None:
    refused = _ingest_of(mesh, tmp_path / "refused.log", url.format(mesh.store.server.port))
    assert refused.process.wait(60) == 2, refused.said()
    assert says in refused.said()
    assert "waiting" not in refused.said()


def test_a_command_that_needs_kafka_says_so(tmp_path: Path) -> None:
    process = Process(tmp_path / "collect.log", sys.executable, "-m", "cli", "collect")
    assert process.process.wait(60) == 2
    assert process.said().splitlines() == [
        "this command needs Kafka; say where it is with --kafka-bootstrap-servers, for example 127.0.0.1:9092"
    ]


def _ingest_of(mesh: KafkaMesh, log: Path, url: str) -> Ingest:
    return Ingest(log, mesh.kafka.servers, "--clickhouse-url", url, settings=("MESHSCOPE_KAFKA_GROUP_ID=another",))


def _in_flight(collect: Collect) -> float:
    return metrics(collect.metrics_port)["meshscope_collect_in_flight_bytes"]


def _lag(mesh: KafkaMesh) -> float:
    return _sum(mesh, "meshscope_ingest_lag_messages")


def _sum(mesh: KafkaMesh, name: str) -> float:
    return sum(total(metrics(ingest.metrics_port), name) for ingest in mesh.ingests)
