"""What one service or one trace can make of the store is bounded; what was counted stays counted."""

import re
from collections.abc import Iterable
from uuid import uuid4

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from storage.telemetry import bounds
from storage.telemetry.bounds import Bounds, enforce, fresh, note_attributes
from storage.telemetry.engine import Engine
from tests.fakes.filled_store import HOUR
from tests.fakes.spans import CLIENT, INTERNAL, SERVER, Span, request

BOUNDS = Bounds(operations=20, spans_per_trace=200)
CALLS = """
SELECT sum(g.calls) AS calls, sumIf(g.calls, route = '__other__') AS others, uniqExactIf(route, service = 'shop') AS routes
FROM {rollup:Identifier} AS g
"""
ROLLUPS = ("golden_signals_10s", "golden_signals_1m", "golden_signals_1h")


def insert(engine: Engine, spans: Iterable[Span], token: str = "") -> None:
    engine.insert("traces", [request(spans)], token or uuid4().hex)


def look(engine: Engine) -> None:
    for node in engine.nodes:
        enforce(node, fresh(node, since=0), BOUNDS)


def calls(service: str, routes: Iterable[str]) -> list[Span]:
    return [Span(service, SERVER, at=HOUR, attributes={"http.route": route}) for route in routes]


def test_a_service_has_so_many_operations_and_the_rest_is_other(engine: Engine) -> None:
    usual = ["/pay", "/refund"] * 5
    insert(engine, calls("shop", [*usual, *(f"/a{n}" for n in range(30))]))
    insert(engine, calls("ledger", ["/book"]))
    look(engine)
    for block in range(3):
        insert(engine, calls("shop", [*usual, *(f"/b{block}-{n}" for n in range(100))]))
        insert(engine, calls("ledger", [f"/late{block}"]))
        look(engine)
    for rollup in ROLLUPS:
        (row,) = engine.query(CALLS, {"rollup": rollup})
        assert row == {"calls": 40 + 1 + 3 * 111, "others": 300, "routes": 33}  # 32 came before anybody looked
    (row,) = engine.query(
        "SELECT sumMap(map(toString(g.route), g.calls)) AS calls FROM golden_signals_1h AS g WHERE service = 'shop'", {}
    )
    assert {route: row["calls"][route] for route in ("__other__", "/pay", "/refund")} == {
        "__other__": 300,
        "/pay": 20,
        "/refund": 20,
    }


def test_a_store_that_starts_anew_knows_its_operations_with_the_first_look(engine: Engine) -> None:
    insert(engine, calls("shop", [f"/a{n}" for n in range(20)]))
    look(engine)
    for table in ("crowded_services", "named_operations", "full_traces"):  # they are not on the disk
        engine.command(f"TRUNCATE TABLE {table}")
    for node in engine.nodes:
        enforce(node, fresh(node, since=2**31), BOUNDS)  # nothing was written since
    insert(engine, calls("shop", ["/a0", "/new"]))
    (row,) = engine.query(CALLS, {"rollup": ROLLUPS[0]})
    assert row == {"calls": 22, "others": 1, "routes": 21}


def test_an_operation_that_is_not_called_for_a_day_gives_up_its_place(engine: Engine) -> None:
    engine.command(
        """INSERT INTO operations
        SELECT 'shop', concat('/a', toString(number)), now() - if(number < 5, 90000, 7200) FROM numbers(24)"""
    )
    look(engine)
    insert(engine, calls("shop", ["/a9", "/new"]))
    look(engine)
    rows = engine.query("SELECT route FROM operations WHERE seen > now() - INTERVAL 1 HOUR ORDER BY route", {})
    assert [row["route"] for row in rows] == ["/a9", "/new"]
    insert(engine, calls("shop", ["/newer"]))
    look(engine)
    insert(engine, calls("shop", ["/newer"]))
    (row,) = engine.query(CALLS, {"rollup": ROLLUPS[0]})
    assert (row["calls"], row["others"]) == (4, 2)


def test_a_trace_keeps_so_many_spans_and_the_rest_is_only_counted(engine: Engine) -> None:
    root, other = Span("shop", SERVER, at=HOUR), Span("shop", SERVER, at=HOUR)
    grown = [Span("shop", INTERNAL, root, at=HOUR) for _ in range(150)]
    insert(engine, [root, other, *grown])
    look(engine)
    insert(engine, [Span("shop", SERVER, root, at=HOUR) for _ in range(100)])  # beyond the bound before anybody looked
    look(engine)
    late = [Span("shop", SERVER, root, at=HOUR) for _ in range(50)] + [Span("shop", SERVER, other, at=HOUR)]
    insert(engine, late, token="late")
    insert(engine, late, token="late")
    counted = "SELECT count() AS spans, countIf(trace_id = unhex({id:String})) AS grown FROM spans"
    assert engine.query(counted, {"id": root.trace_id.hex()}) == [{"spans": 253, "grown": 251}]
    assert engine.query("SELECT sum(i.spans) AS spans FROM trace_index AS i", {}) == [{"spans": 303}]
    assert engine.query("SELECT sum(g.calls) AS calls FROM golden_signals_10s AS g", {}) == [{"calls": 153}]
    assert engine.query("SELECT spans FROM overgrown_traces", {}) == [{"spans": 251}]


def test_a_span_keeps_so_many_attributes_and_says_how_many_went(engine: Engine) -> None:
    many: dict[str, str | int | float | bool] = {f"key-{number:04}": number for number in range(500)}
    named: dict[str, str | int | float | bool] = {"http.route": "/pay", "url.path": "/pay"}
    insert(engine, [Span("shop", SERVER, attributes=many | named), Span("shop", CLIENT, attributes={"a": 1})])
    rows = engine.query("SELECT mapKeys(attributes) AS names, http_route AS route FROM spans ORDER BY length(names)", {})
    assert [rows[0]["names"], rows[1]["route"]] == [["a"], "/pay"]
    assert rows[1]["names"] == [*list(many)[:128], "otel.dropped_attributes_count"]
    (row,) = engine.query("SELECT max(attributes['otel.dropped_attributes_count']) AS went FROM spans", {})
    assert row["went"] == "372"


@pytest.mark.parametrize("length", [127, 128, 16_383, 16_384, 65_535, 65_536, 65_537, 3_000_000])
@pytest.mark.parametrize("letter", ["a", "é"])
def test_a_value_keeps_64_kib_and_says_that_it_was_cut(engine: Engine, letter: str, length: int) -> None:
    sent = letter * (length // len(letter.encode()))
    insert(engine, [Span("shop", SERVER, attributes={"text": sent})])
    (row,) = engine.query("SELECT attributes['text'] AS text FROM spans", {})
    if len(sent.encode()) <= 65_536:
        assert row["text"] == sent
    else:
        assert 65_536 - 4 <= len(row["text"].encode()) <= 65_536 + 3
        assert row["text"].endswith("…")
        assert sent.startswith(row["text"].removesuffix("…"))


def test_what_is_nested_and_too_long_says_how_long_it_was(engine: Engine) -> None:
    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    for name, size in (("short", 10), ("long", 100_000)):
        span.attributes.add(key=name).value.array_value.values.add(string_value="x" * size)
    engine.insert("traces", [message.SerializeToString()], uuid4().hex)
    (row,) = engine.query("SELECT attributes['short'] AS short, attributes['long'] AS long FROM spans", {})
    assert row["short"].startswith("\0")
    assert re.fullmatch(r"… 10\d{4} bytes", row["long"])


def test_a_day_has_places_for_so_many_names_of_attributes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "NAMES", 30)
    usual: dict[str, str | int | float | bool] = {"tier": "gold", "k" * 300: "a name too long to be one"}
    insert(engine, [Span("shop", INTERNAL, attributes=usual) for _ in range(5)])
    insert(engine, [Span("ledger", INTERNAL, attributes={"rare": 1})])
    for block in range(3):
        for number in range(50):
            usual[f"key-{block}-{number}"] = "once"
        insert(engine, [Span("shop", INTERNAL, attributes=usual)])
        for node in engine.nodes:
            note_attributes(node, fresh(node, since=0))
    rows = engine.query(
        """SELECT service, uniqExact(name) AS names, countIf(name = 'tier') > 0 AS tier,
            sumIf(a.spans, name = '__other__') > 0 AS others, max(length(samples)) AS samples
        FROM attribute_names AS a WHERE name != '' AND scope = 'span' GROUP BY service ORDER BY service""",
        {},
    )
    assert rows == [
        {"service": "ledger", "names": 1, "tier": 0, "others": 0, "samples": 1},
        {"service": "shop", "names": 31, "tier": 1, "others": 1, "samples": 1},
    ]
