"""Kafka, two `meshscope ingest` and a cluster of two shards: what was answered is on one shard, once, whoever is killed."""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from storage.telemetry.engine_cluster import open_cluster
from tests.fakes.clickhouse import Cluster, cluster
from tests.fakes.kafka import kafka, lag
from tests.fakes.load import ITEMS, Sender
from tests.fakes.processes import Process, free_port, until

KILLS = 3
COUNTS = """
SELECT (SELECT count() FROM spans) AS spans, (SELECT uniqExact(trace_id, span_id) FROM spans) AS distinct_spans,
       (SELECT sum(calls) FROM golden_signals_10s) AS calls, (SELECT sum(trace_index.spans) FROM trace_index) AS indexed
"""


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[str]:
    with kafka(tmp_path / "kafka") as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture
def two_shards(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path / "cluster") as two_shards:
        yield two_shards


@pytest.mark.timeout(400)
def test_what_is_answered_is_on_one_shard_once(
    tmp_path: Path, servers: str, two_shards: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHSCOPE_CLICKHOUSE_URL", two_shards.server.where)
    monkeypatch.setenv("MESHSCOPE_CLICKHOUSE_CLUSTER", two_shards.server.cluster)
    monkeypatch.setenv("MESHSCOPE_KAFKA_BOOTSTRAP_SERVERS", servers)
    migrated = Process(tmp_path / "migrate.log", sys.executable, "-m", "cli", "migrate")
    assert migrated.process.wait(60) == 0, migrated.said()
    port, number = free_port(), iter(range(100))
    doors = ("--otlp-http-port", str(port), "--otlp-grpc-port", "0", "--collect-metrics-port", "0")
    collect = Process(tmp_path / "collect.log", sys.executable, "-m", "cli", "collect", *doors)

    def ingest() -> Process:
        log = tmp_path / f"ingest-{next(number)}.log"
        return Process(log, sys.executable, "-m", "cli", "ingest", "--ingest-metrics-port", "0")

    ingests = [ingest(), ingest()]
    url = f"http://127.0.0.1:{port}/v1/traces"
    senders = [Sender(lambda: url) for _ in range(2)]

    def until_all_store() -> None:
        for each in ingests:
            until("ingest storing", lambda each=each: each.check() or "storing otlp_" in each.said())  # type: ignore[misc]

    try:
        until("collect being ready", lambda: collect.check() or httpx.get(url).status_code == 405)
        for sender in senders:
            sender.start()
        for kill in range(KILLS):
            until_all_store()
            time.sleep(random.uniform(0.5, 3))  # any moment: before, within and after an insert
            ingests[kill % 2].kill()
            ingests[kill % 2] = ingest()
        for sender in senders:
            sender.stopping.set()
        for sender in senders:
            sender.join(60)
        until("ingest storing the rest", lambda: asyncio.run(lag(servers, "meshscope")) == 0, 120)
        until_all_store()  # one that is still about to start would not end with 0
        assert [each.stop() for each in ingests] == [0, 0], [each.said()[-2000:] for each in ingests]
        assert collect.stop() == 0, collect.said()
    finally:
        for each in (collect, *ingests):
            each.kill()
    answered = sum(sender.answered for sender in senders)
    assert answered > KILLS * ITEMS
    engine = open_cluster(two_shards.server)
    stored = [node.query(COUNTS, {})[0] for node in engine.nodes]
    engine.close()
    assert min(each["spans"] for each in stored) > 0  # both shards have a share
    total: Counter[str] = Counter()
    for each in stored:
        total.update(each)
    assert total == dict.fromkeys(("spans", "distinct_spans", "calls", "indexed"), answered)
