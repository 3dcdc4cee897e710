"""Our tables against those of the OpenTelemetry Collector's ClickHouse exporter: the same day of spans, in one store."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from benchmarks.load import HOUR_NS, Load
from benchmarks.mesh_spans import SPANS_PER_REQUEST
from benchmarks.samples import ROUNDS, Samples
from core.clock import SystemClock
from core.wire import delimited
from storage.telemetry.edges import settle
from storage.telemetry.engine import Engine
from storage.telemetry.engine_clickhouse import open_embedded
from storage.telemetry.migrate import migrate, statements
from storage.telemetry.questions import question

PEERS = Path(__file__).parent / "peers"
REQUESTS_PER_BLOCK = 256
DAY_S = 24 * 3600
WARM_UPS = 5
"""Questions before those that count, for both: the fourth of its kind is the one that ClickHouse compiles."""

Rows = list[dict[str, Any]]
Ask = Callable[[dict[str, Any]], Rows]


@dataclass(frozen=True, slots=True)
class Contest:
    """One thing that both are asked, with another value for each sample, and how to see that the answers agree."""

    name: str
    ours: Ask
    theirs: Ask
    values: list[dict[str, Any]]
    agree: Callable[[Rows, Rows], bool]


def bakeoff(spans: int, home: Path) -> Samples:
    """Fill both with about ``spans`` spans, measure what they take on the disk, and ask both the same."""
    engine = open_embedded(home / "data")
    migrate(engine)
    for statement in statements(_sql("exporter_schema")):
        engine.command(statement)
    to_s = int(SystemClock().now()) // 3600 * 3600
    samples = Samples()
    stored = _fill(engine, spans, (to_s - DAY_S) * 10**9, home / "block")
    samples.add("bakeoff_spans", stored)
    _measure_bytes(engine, stored, samples)
    for contest in _contests(engine, {"from_s": to_s - DAY_S, "to_s": to_s}):
        _measure_times(contest, samples)
    engine.close()
    return samples


def _fill(engine: Engine, spans: int, start_ns: int, file: Path) -> int:
    """Insert a day of spans, block by block, and find the edges of its end; return how many spans each side has."""
    began = SystemClock().now()
    blocks = max(1, round(spans / (REQUESTS_PER_BLOCK * SPANS_PER_REQUEST)))
    load = Load(REQUESTS_PER_BLOCK, start_ns=start_ns, round_ns=24 * HOUR_NS // blocks)
    # A setting cannot be a parameter.
    fill = _sql("exporter_fill").replace("{proto}", f"{PEERS / 'otlp_traces.proto'}:Traces")
    for number in range(blocks):
        requests = load.round(number)
        engine.insert("traces", requests, f"bakeoff-{number}")
        file.write_bytes(b"".join(map(delimited, requests)))
        engine.command(fill, {"block": str(file)})
    settle(engine, since=began)
    counted = engine.query("SELECT (SELECT count() FROM spans) AS ours, (SELECT count() FROM exporter.otel_traces) AS theirs", {})
    if counted != [{"ours": blocks * load.spans, "theirs": blocks * load.spans}]:
        raise RuntimeError(f"{blocks * load.spans} spans were inserted on both sides, but {counted} are there")
    return blocks * load.spans


def _measure_bytes(engine: Engine, spans: int, samples: Samples) -> None:
    """Both sides with all their tables, merged to the end.

    Half-edges live for two hours after they arrived: they are told apart from what a span takes for as long as it is kept. Edges
    are looked for in minutes that are no older, so that what they take is counted per span of the minutes that have some.
    """
    tables = engine.query(
        "SELECT database, name FROM system.tables WHERE database IN (currentDatabase(), 'exporter') AND engine LIKE '%MergeTree'",
        {},
    )
    for table in tables:
        engine.command(f"OPTIMIZE TABLE {table['database']}.{table['name']} FINAL")
    (settled,) = engine.query(
        "SELECT count() AS spans FROM spans WHERE toStartOfMinute(ts) IN (SELECT DISTINCT minute FROM edges_1m)", {}
    )
    stored = engine.query(
        "SELECT database, table, sum(bytes_on_disk) AS bytes FROM system.parts"
        " WHERE active AND database IN (currentDatabase(), 'exporter') GROUP BY database, table",
        {},
    )
    shared_by = {"edges_1m": settled["spans"]}
    for side in ("ours", "exporter"):
        mine = {
            row["table"]: row["bytes"] / shared_by.get(row["table"], spans)
            for row in stored
            if (row["database"] == "exporter") == (side == "exporter")
        }
        for table, size in mine.items():
            samples.add(f"{side}_bytes_per_span.{table}", size)
        samples.add(f"{side}_bytes_per_span_first_two_hours", sum(mine.values()))
        samples.add(f"{side}_bytes_per_span", sum(mine.values()) - mine.get("half_edges", 0))


def _contests(engine: Engine, day: dict[str, Any]) -> list[Contest]:
    """Values are drawn from the data; each is asked for once, so that no cache of results can answer."""
    many = {"samples": WARM_UPS + ROUNDS}
    traces = engine.query(
        "SELECT TraceId AS trace_id FROM exporter.otel_traces GROUP BY TraceId HAVING count() = 8"
        " ORDER BY cityHash64(TraceId) LIMIT {samples:UInt32}",
        many,
    )

    def drawn(key: str, column: str) -> list[dict[str, Any]]:
        rows = engine.query(
            "SELECT DISTINCT SpanAttributes[{key:String}] AS value FROM exporter.otel_traces WHERE value != ''"
            " ORDER BY cityHash64(value) LIMIT {samples:UInt32}",
            many | {"key": key},
        )
        return [day | {"key": key, "column": column, "value": row["value"]} for row in rows]

    def ask(sql: str) -> Ask:
        return lambda values: engine.query(sql, values)

    attribute = {"ours": ask(_sql("our_attribute")), "theirs": ask(_sql("exporter_attribute"))}
    return [
        Contest("trace_by_id", _our_trace(engine), ask(_sql("exporter_trace")), traces, _as_many),
        Contest("attribute_filter", **attribute, values=drawn("url.path", "url_path"), agree=_same_spans),
        Contest("common_attribute_filter", **attribute, values=drawn("client.address", "client_address"), agree=_same_spans),
        Contest(
            "service_p99",
            _our_p99(engine),
            ask(_sql("exporter_p99")),
            [day | {"service": f"service-0{number}"} for number in range(WARM_UPS + ROUNDS)],
            _same_latency,
        ),
    ]


def _our_trace(engine: Engine) -> Ask:
    """As the query API asks: where the trace lies, its spans, and the resources that they name."""

    def ask(values: dict[str, Any]) -> Rows:
        (lies,) = engine.query(question("trace_bounds"), values)
        where = {name: lies[name] for name in ("start_ns", "end_ns")}
        rows = engine.query(question("trace_spans"), values | where | {"limit": 20_001})
        engine.query(question("trace_resources"), {"ids": sorted({row["resource_id"] for row in rows})})
        return rows

    return ask


def _our_p99(engine: Engine) -> Ask:
    """As the query API asks about a whole day."""
    return lambda values: engine.query(question("golden_signals_totals"), values | {"rollup": "golden_signals_1h"})


def _as_many(ours: Rows, theirs: Rows) -> bool:
    return len(ours) == len(theirs)


def _same_spans(ours: Rows, theirs: Rows) -> bool:
    return {row["ids"][:8].hex() for row in ours} == {row["span_id"] for row in theirs}


def _same_latency(ours: Rows, theirs: Rows) -> bool:
    """Our quantiles are within 1 % by construction, theirs within what a sample of 8,192 gives."""
    ours_ms: float = ours[0]["ns"][2] / 1e6
    return bool(ours[0]["calls"] == theirs[0]["calls"]) and 0.9 < ours_ms / theirs[0]["p99_ms"] < 1.1


def _measure_times(contest: Contest, samples: Samples) -> None:
    """Ask both in turn; CPU of all threads."""
    for number, values in enumerate(contest.values):
        answers = []
        for side, ask in (("ours", contest.ours), ("exporter", contest.theirs)):
            wall, cpu = perf_counter(), process_time()
            answers.append(ask(values))
            if number >= WARM_UPS:
                samples.add(f"{side}_{contest.name}_ms", 1000 * (perf_counter() - wall))
                samples.add(f"{side}_{contest.name}_cpu_ms", 1000 * (process_time() - cpu))
        if not contest.agree(*answers):
            raise RuntimeError(f"{contest.name} {values}: we answer {answers[0][:2]}, the exporter's tables {answers[1][:2]}")


def _sql(name: str) -> str:
    return (PEERS / f"{name}.sql").read_text("utf-8")
