"""What an engine promises, whichever it is (see storage.telemetry.engine.Engine)."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from storage.telemetry.edges import settle
from storage.telemetry.engine import BadBlock, Engine, StoreUnavailable
from storage.telemetry.migrate import migrate
from tests.fakes.spans import CLIENT, SERVER, Span, request

COUNTS = """
SELECT
    (SELECT count() FROM spans) AS spans,
    (SELECT sum(calls) FROM golden_signals_10s) AS calls,
    (SELECT sum(trace_index.spans) FROM trace_index) AS indexed,
    (SELECT uniqExact(trace_id, link) FROM half_edges) AS halves
"""
EVIL = ["'; DROP TABLE spans; --", "\\' OR 1=1 --", "{service:String}", "a\tb\nc\\d", "x' FORMAT Null", "ü漢字🙂", ""]


def test_a_repeated_token_adds_nothing_to_any_table(engine: Engine) -> None:
    caller = Span("A", CLIENT)
    block = [request([caller, Span("B", SERVER, caller)])]
    for _ in range(3):
        engine.insert("traces", block, "otlp_spans:0:10-12")
        assert engine.query(COUNTS, {}) == [{"spans": 2, "calls": 1, "indexed": 2, "halves": 1}]
    engine.insert("traces", block, "otlp_spans:0:12-14")  # the same bytes under another token are others
    assert engine.query(COUNTS, {})[0]["spans"] == 4


def test_one_token_from_several_threads_at_once_counts_once(engine: Engine) -> None:
    block = [request([Span("A", SERVER) for _ in range(50)])]
    token = uuid4().hex
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: engine.insert("traces", block, token), range(4)))
    assert engine.query(COUNTS, {}) == [{"spans": 50, "calls": 50, "indexed": 50, "halves": 50}]


def test_a_bad_block_is_told_from_a_store_that_refuses(engine: Engine) -> None:
    with pytest.raises(BadBlock):
        engine.insert("traces", [b"\x05junk"], uuid4().hex)
    with pytest.raises(StoreUnavailable, match="UNKNOWN_TABLE"):
        engine.query("SELECT * FROM no_such_table", {})
    with pytest.raises(
        StoreUnavailable, match=r"Code: 241\."
    ):  # by these words the query API knows a question that asks too much
        engine.query("SELECT groupArray(number) FROM numbers(100000000) SETTINGS max_memory_usage = 10000000", {})
    assert engine.query(COUNTS, {})[0]["spans"] == 0


@pytest.mark.parametrize("text", EVIL, ids=range(len(EVIL)))
def test_what_is_a_parameter_stays_text(engine: Engine, text: str) -> None:
    assert engine.query("SELECT {text:String} AS said, {many:Array(String)} AS many", {"text": text, "many": [text, "b"]}) == [
        {"said": text, "many": [text, "b"]}
    ]
    engine.insert("traces", [request([Span(text or "unnamed", SERVER)])], uuid4().hex)
    (row,) = engine.query("SELECT count() AS found FROM spans WHERE service = {service:String}", {"service": text or "unnamed"})
    assert row["found"] == 1


def test_questions_are_answered_while_blocks_are_stored(engine: Engine) -> None:
    def store(number: int) -> None:
        engine.insert("traces", [request([Span(f"s{number}", SERVER) for _ in range(20)])], uuid4().hex)

    def ask(number: int) -> int:
        (row,) = engine.query("SELECT sum(number) AS total FROM numbers({upto:UInt32})", {"upto": number})
        return int(row["total"])

    with ThreadPoolExecutor(8) as threads:
        stored = [threads.submit(store, number) for number in range(8)]
        assert list(threads.map(ask, range(1, 40))) == [number * (number - 1) // 2 for number in range(1, 40)]
        for each in stored:
            each.result()
    assert engine.query(COUNTS, {})[0]["spans"] == 160


def test_what_is_read_has_the_types_it_was_stored_with(engine: Engine) -> None:
    at = time.time_ns() // 1_000_000_000
    engine.insert("traces", [request([Span("A", SERVER, at=float(at), milliseconds=1.5)])], uuid4().hex)
    (row,) = engine.query(
        """SELECT ts, toDateTime(ts) AS second, trace_id, span_id, toString(kind) AS kind, duration_ns, error, attributes, events,
                  NULL AS nothing, [1, 2] AS numbers, (1, 'a') AS pair, 0.25 AS quarter FROM spans""",
        {},
    )
    assert row["ts"] == row["second"] == datetime.fromtimestamp(at, UTC)
    assert row["ts"].tzinfo is not None
    assert (len(row["trace_id"]), row["kind"], row["duration_ns"], row["error"]) == (16, "server", 1_500_000, False)
    assert (row["attributes"], row["events"], row["nothing"], row["numbers"]) == ({}, [], None, [1, 2])
    assert (row["pair"], row["quarter"], 0 < row["span_id"] < 2**64) == ((1, "a"), 0.25, True)
    (row,) = engine.query("SELECT {at:DateTime64(9)} AS at, {flag:Bool} AS flag", {"at": row["ts"], "flag": True})
    assert (row["at"], row["flag"]) == (datetime.fromtimestamp(at, UTC), True)


def test_no_rows_are_an_empty_answer(engine: Engine) -> None:
    assert engine.query("SELECT service FROM spans", {}) == []


def test_a_block_of_sixteen_mebibytes_is_one_block(engine: Engine) -> None:
    spans = [Span("big", SERVER, attributes={"filling": "x" * 16_000}) for _ in range(1000)]
    block = [request(spans[start : start + 100]) for start in range(0, 1000, 100)]
    assert sum(map(len, block)) > 16_000_000
    for _ in range(2):
        engine.insert("traces", block, "big:0:0-10")
    assert engine.query(COUNTS, {})[0]["spans"] == 1000


def test_edges_are_found(engine: Engine) -> None:
    caller = Span("A", CLIENT)
    engine.insert("traces", [request([caller])], uuid4().hex)
    engine.insert("traces", [request([Span("B", SERVER, caller)])], uuid4().hex)
    for _ in range(2):
        settle(engine, since=time.time())
        found = engine.query("SELECT source, destination, calls, paired FROM edges_1m FINAL WHERE calls > 0", {})
        assert found == [{"source": "A", "destination": "B", "calls": 1, "paired": 1}]


def test_two_that_migrate_at_once_leave_one_schema(engine: Engine) -> None:
    engine.command("TRUNCATE TABLE schema_migrations")
    engine.command("DROP TABLE typed_spans_to_golden_signals_10s")
    with ThreadPoolExecutor(2) as threads:
        applied = list(threads.map(migrate, [engine, engine]))
    assert migrate(engine) == []
    names = [row["name"] for row in engine.query("SELECT name FROM schema_migrations FINAL ORDER BY version", {})]
    assert names == max(applied, key=len)
    engine.insert("traces", [request([Span("A", SERVER)])], uuid4().hex)
    assert engine.query(COUNTS, {})[0]["calls"] == 1
