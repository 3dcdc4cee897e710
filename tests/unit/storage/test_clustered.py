"""What plain statements become on a node of a cluster."""

import subprocess
import sys
from pathlib import Path

import pytest

from storage.telemetry import migrate
from storage.telemetry.clustered import Cluster, StatementNotUnderstood, adds_rows, on_node, shard_of
from storage.telemetry.engine import Engine

MESH = Cluster("mesh", "meshscope", replicated=True)
STATEMENTS = [
    pytest.param(statement, id=f"{file}-{number}")
    for file in migrate._files()
    for number, statement in enumerate(migrate.statements(migrate._read(file)))
]


def test_a_table_becomes_replicated_and_gets_a_distributed_twin() -> None:
    plain = """-- Halves; ENGINE = MergeTree is only a comment here.
CREATE TABLE IF NOT EXISTS edges (
    source LowCardinality(String),
    seen DateTime CODEC(Delta(4), ZSTD(1))
) ENGINE = ReplacingMergeTree(seen)
PARTITION BY toDate(seen)
ORDER BY (source, toDate(seen))
TTL seen + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1"""
    assert on_node(plain, MESH) == [
        """CREATE TABLE IF NOT EXISTS edges (
    source LowCardinality(String),
    seen DateTime CODEC(Delta(4), ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', seen)
PARTITION BY toDate(seen)
ORDER BY (source, toDate(seen))
TTL seen + INTERVAL 7 DAY
SETTINGS replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, ttl_only_drop_parts = 1""",
        """CREATE TABLE IF NOT EXISTS meshscope.edges AS meshscope_local.edges
ENGINE = Distributed('mesh', 'meshscope_local', 'edges', cityHash64((source, toDate(seen))))""",
    ]


def test_without_a_keeper_a_table_stays_as_it_is_and_gets_its_twin() -> None:
    plain = "CREATE TABLE IF NOT EXISTS a (\n    b Int8\n) ENGINE = MergeTree\nORDER BY b"
    kept, twin = on_node(plain, Cluster("mesh", "meshscope", replicated=False))
    assert kept == plain
    assert twin.endswith("ENGINE = Distributed('mesh', 'meshscope_local', 'a', cityHash64(b))")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE IF NOT EXISTS landing (\n    a String\n) ENGINE = Null",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS a_to_b TO b AS\nSELECT 1 FROM a",
        "CREATE FUNCTION IF NOT EXISTS twice AS x -> x * 2",
        "ALTER TABLE spans MODIFY TTL toDateTime(ts) + toIntervalDay(3)",
        "ALTER TABLE spans DROP PARTITION ID {day:String}",
        "INSERT INTO schema_migrations (version, name) SELECT 1, 'a'",
    ],
)
def test_what_concerns_the_node_alone_stays_as_it_is(statement: str) -> None:
    assert on_node(statement, MESH) == [statement]


def test_columns_come_and_go_on_both() -> None:
    added = "ADD COLUMN IF NOT EXISTS zone LowCardinality(String)"
    assert on_node(f"ALTER TABLE spans {added}", MESH) == [f"ALTER TABLE spans {added}", f"ALTER TABLE meshscope.spans {added}"]
    dropped = on_node("DROP TABLE IF EXISTS old", MESH)
    assert dropped == ["DROP TABLE IF EXISTS meshscope.old", "DROP TABLE IF EXISTS old"]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE spans (\n    a Int8\n) ENGINE = MergeTree\nORDER BY a",  # does not bear being run twice
        "CREATE TABLE IF NOT EXISTS a (\n    b Int8\n) ENGINE = MergeTree ORDER BY b",  # not on a line of its own
        "CREATE TABLE IF NOT EXISTS a (\n    b Int8\n) ENGINE = Log",
        "CREATE TABLE IF NOT EXISTS a AS b",
        "CREATE VIEW IF NOT EXISTS a AS SELECT 1",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS a REFRESH EVERY 1 HOUR TO b AS SELECT 1",
        "CREATE DICTIONARY IF NOT EXISTS d (a Int8) PRIMARY KEY a",
        "DELETE FROM spans WHERE trace_id NOT IN (SELECT trace_id FROM kept_traces)",  # would read its own kept traces only
        "ALTER TABLE spans DELETE WHERE 1",
        "SYSTEM SHUTDOWN",
        "",
    ],
)
def test_what_nobody_has_said_anything_about_is_refused(statement: str) -> None:
    with pytest.raises(StatementNotUnderstood):
        on_node(statement, MESH)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_each_statement_of_the_schema_is_understood_and_what_it_becomes_is_sql(engine: Engine, statement: str) -> None:
    for said in on_node(statement, MESH):
        (row,) = engine.query("SELECT formatQuery({said:String}) AS formatted", {"said": said})
        assert row["formatted"]
        assert "non_replicated" not in said
        assert said.count("MergeTree") == said.count("Replicated")


def test_every_table_that_stores_anything_is_read_from_all_shards() -> None:
    became = [said for statement in STATEMENTS for said in on_node(str(statement.values[0]), MESH)]
    stored = {said.split()[5] for said in became if "ENGINE = Replicated" in said}
    read = {said.split()[5].removeprefix("meshscope.") for said in became if "ENGINE = Distributed" in said}
    assert "spans" in stored
    assert stored == read


def test_clickhouse_makes_the_replicated_tables(tmp_path: Path) -> None:
    # In a process of its own: the Keeper that ClickHouse has for its own tests does not end well. It lets tables be made, with
    # all checks of engines, keys and settings; it takes no rows.
    (tmp_path / "config.xml").write_text(
        """<clickhouse><zookeeper><implementation>testkeeper</implementation></zookeeper>
        <macros><shard>01</shard><replica>r1</replica></macros></clickhouse>"""
    )
    made = subprocess.run(
        [sys.executable, "-m", "tests.fakes.replicated_tables", str(tmp_path)], capture_output=True, text=True, timeout=100
    )
    stored = sum("MergeTree" in str(statement.values[0]) for statement in STATEMENTS)
    assert made.stdout.split("\n")[0] == f"{stored} replicated tables", made.stdout + made.stderr[-1000:]


def test_ranges_of_one_partition_stay_together_and_partitions_spread() -> None:
    for topic in ("otlp_spans", "otlp_logs", "otlp_metrics"):
        for partition in range(20):
            assert len({shard_of(f"{topic}:{partition}:{start}-{start + 7}", 3) for start in range(0, 700, 7)}) == 1
    taken = [shard_of(f"otlp_spans:{partition}:0-1", 3) for partition in range(300)]
    assert all(70 <= taken.count(shard) <= 130 for shard in range(3))
    assert {shard_of(f"{number:032x}", 3) for number in range(50)} == {0, 1, 2}  # blocks that came without Kafka


def test_a_shard_is_the_same_in_every_process() -> None:
    # Python's own hash differs from start to start; these were found once and stay.
    assert [shard_of(f"otlp_spans:{partition}:5-9", 4) for partition in range(8)] == [3, 0, 1, 3, 0, 1, 0, 2]


def test_what_adds_rows_is_said_once() -> None:
    assert adds_rows("-- why\nINSERT INTO edges_1m SELECT 1")
    assert not adds_rows("ALTER TABLE a DROP PARTITION ID 'INSERT INTO'")
