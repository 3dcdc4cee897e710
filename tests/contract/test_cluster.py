"""A cluster as one store.

Two chDB processes stand for two shards on 127.0.0.1 and 127.0.0.2, which is enough to see where blocks go and what becomes of
replays. chDB has no port on which shards read from each other: what reads across shards is asked of a cluster of one shard, by
way of the very Distributed tables that a larger one has.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from storage.telemetry.clustered import StatementNotUnderstood, shard_of
from storage.telemetry.edges import settle
from storage.telemetry.engine import Engine, StoreRefusesUs, StoreUnavailable
from storage.telemetry.engine_cluster import open_cluster
from storage.telemetry.migrate import migrate
from storage.telemetry.questions import question
from storage.telemetry.retention import keep
from storage.telemetry.server import Server
from storage.telemetry.space import make_room
from tests.fakes.clickhouse import ClickHouse, cluster
from tests.fakes.processes import Process
from tests.fakes.spans import CLIENT, SERVER, Span, request

COUNTS = """
SELECT
    (SELECT count() FROM spans) AS spans,
    (SELECT sum(calls) FROM golden_signals_10s) AS calls,
    (SELECT sum(trace_index.spans) FROM trace_index) AS indexed
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[ClickHouse]]:
    """Return two servers on one port of two addresses."""
    with cluster(tmp_path_factory.mktemp("cluster")) as two_shards:
        yield two_shards.shards


@pytest.fixture
def two(shards: Sequence[ClickHouse]) -> Server:
    """Return the way into two shards, with a database of its own."""
    return replace(shards[0].server, cluster="two", database=f"two_{uuid4().hex[:8]}")


def test_each_range_goes_to_its_shard_and_a_replay_is_dropped_there(shards: Sequence[ClickHouse], two: Server) -> None:
    engine = open_cluster(two)
    migrate(engine)
    ranges = [f"otlp_spans:{partition}:{start}-{start + 5}" for partition in range(4) for start in (0, 5)]
    blocks = {token: [request([Span("shop", SERVER) for _ in range(5)])] for token in ranges}
    for token, block in blocks.items():
        engine.insert("traces", block, token)
    expected = [5 * sum(shard_of(token, 2) == shard for token in ranges) for shard in range(2)]
    assert min(expected) > 0
    assert _on_each(engine) == expected
    engine.close()
    # Who finds the plans after a crash knows nothing of the one before.
    after = open_cluster(two)
    for token, block in blocks.items():
        after.insert("traces", block, token)
    assert _on_each(after) == expected
    # A shard that went away and came back still knows what it took.
    shards[1].kill()
    of_second = next(token for token in ranges if shard_of(token, 2) == 1)
    of_first = next(token for token in ranges if shard_of(token, 2) == 0)
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.2"):
        after.insert("traces", blocks[of_second], of_second)
    after.insert("traces", blocks[of_first], of_first)  # the other shard goes on
    shards[1].again()
    shards[1].until_ready()
    after.insert("traces", blocks[of_second], of_second)
    assert _on_each(after) == expected
    after.close()


def _on_each(engine: Engine) -> list[int]:
    """Return how many spans each node has, which every rollup of that node must agree with."""
    counts = [node.query(COUNTS, {})[0] for node in engine.nodes]
    for each in counts:
        assert each["spans"] == each["calls"] == each["indexed"]
    return [each["spans"] for each in counts]


def test_a_node_that_is_down_is_named_and_migrated_when_it_is_back(
    shards: Sequence[ClickHouse], two: Server, tmp_path: Path
) -> None:
    shards[1].kill()
    migrating = (sys.executable, "-m", "cli", "migrate", "--clickhouse-url", two.where, "--cluster", "two")
    told = (*migrating, "--clickhouse-database", two.database)
    first = Process(tmp_path / "first.log", *told)
    assert first.process.wait(60) == 1
    assert "ClickHouse at http://127.0.0.2" in first.said()
    shards[1].again()
    shards[1].until_ready()
    both = [Process(tmp_path / f"both-{number}.log", *told) for number in range(2)]
    assert [each.process.wait(100) for each in both] == [0, 0], [each.said() for each in both]
    again = Process(tmp_path / "again.log", *told)
    assert (again.process.wait(60), again.said().strip()) == (0, "0 applied")
    engine = open_cluster(two)
    tables = [[row["name"] for row in node.query("SHOW TABLES", {})] for node in engine.nodes]
    assert "spans" in tables[0]
    assert tables[0] == tables[1]
    engine.close()


@pytest.fixture(scope="module")
def one(shards: Sequence[ClickHouse]) -> Iterator[Engine]:
    """Return a migrated cluster of one shard, through its Distributed tables."""
    engine = open_cluster(replace(shards[0].server, cluster="one", database="one"))
    migrate(engine)
    yield engine
    engine.close()


def test_questions_read_through_distributed_tables_word_for_word(one: Engine) -> None:
    caller = Span("A", CLIENT, attributes={"upstream_cluster.name": "b"})
    spans = [caller, Span("B", SERVER, caller)]
    for _ in range(2):
        one.insert("traces", [request(spans)], "otlp_spans:0:0-2")
    for _ in range(2):
        settle(one, since=time.time())
    found = one.query("SELECT source, destination, calls, paired FROM edges_1m FINAL WHERE calls > 0", {})
    assert found == [{"source": "A", "destination": "B", "calls": 1, "paired": 1}]
    assert one.query("SELECT client, cluster, server FROM cluster_names FINAL", {}) == [
        {"client": "A", "cluster": "b", "server": "B"}
    ]
    assert one.query(COUNTS, {}) == [{"spans": 2, "calls": 1, "indexed": 2}]
    now = int(time.time())
    window = {"start_ns": (now - 600) * 10**9, "end_ns": (now + 60) * 10**9, "from_s": now - 600, "to_s": now + 60, "limit": 10}
    (trace,) = one.query(question("traces", "service"), window | {"service": "A", "sure_from_ns": 0})
    assert (sorted(trace["services"]), trace["spans"]) == (["A", "B"], 2)
    asked = window | {"rollup": "golden_signals_1m"}
    assert [row["service"] for row in one.query(question("services"), asked)] == ["B"]
    edges = one.query(question("topology_edges"), window | {"seconds": 660.0, "by_version": False, "believed_from_ns": 0})
    assert [(edge["source"], edge["destination"], edge["calls"]) for edge in edges] == [("A", "B", 1)]
    assert one.query(question("coverage"), {})[0]["hours_s"]


def test_what_concerns_tables_and_disks_is_said_to_each_node(one: Engine) -> None:
    one.insert("traces", [request([Span("A", SERVER)])], uuid4().hex)
    assert keep(one, {"traces": 3})["spans"] == 3
    assert [
        node.query("SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'spans'", {})[0][
            "engine_full"
        ].count("toIntervalDay(3)")
        for node in one.nodes
    ] == [1]
    assert make_room(one, budget_bytes=10**12, today="29991231") == []
    assert make_room(one, budget_bytes=0, today="29991231")
    assert one.query("SELECT count() AS spans FROM spans", {}) == [{"spans": 0}]
    with pytest.raises(StatementNotUnderstood, match="DELETE FROM spans"):
        one.command("DELETE FROM spans WHERE 1")


@pytest.mark.parametrize(
    ("name", "why"), [("three", "knows no cluster 'three'"), ("replicas", "have replicas, but .* has no Keeper")]
)
def test_a_cluster_that_cannot_be_used_is_refused(shards: Sequence[ClickHouse], name: str, why: str) -> None:
    with pytest.raises(StoreRefusesUs, match=why):
        open_cluster(replace(shards[0].server, cluster=name))
