"""One edge for one call, through any number of proxies, in any order of arrival."""

import time
from typing import Any
from uuid import uuid4

from storage.telemetry.edges import settle
from storage.telemetry.engine import Engine
from tests.fakes import filled_store
from tests.fakes.spans import CLIENT, SERVER, Span, proxied, request


def test_two_sidecars_and_two_applications_make_one_edge(engine: Engine) -> None:
    _insert(engine, [span for _ in range(37) for span in _through_sidecars("A", "B")])
    assert _edges(engine) == [_edge("A", "B", calls=37, paired=37)]


def test_halves_that_arrive_in_any_order_and_apart_meet(engine: Engine) -> None:
    caller = Span("A", CLIENT)
    callee = Span("B", SERVER, caller)
    _insert(engine, [callee])
    settle(engine, since=time.time())
    _insert(engine, [caller])
    assert _edges(engine) == [_edge("A", "B", calls=1, paired=1)]


def test_a_late_half_corrects_what_was_shown(engine: Engine) -> None:
    minute_ago = time.time() - 60
    caller = Span("A", CLIENT, at=minute_ago)
    callee = Span("B", SERVER, caller, at=minute_ago + 60)  # the other side's clock: another minute
    _insert(engine, [callee])
    _age(engine)
    assert _edges(engine) == [_edge("external", "B", calls=1, paired=0)]
    _insert(engine, [caller])
    assert _edges(engine) == [_edge("A", "B", calls=1, paired=1)]


def test_a_slow_clock_does_not_undo_what_was_found_hours_ago(engine: Engine) -> None:
    three_hours_ago = time.time() - 3 * 3600
    filled_store.edge(engine, "A", "B", minute=three_hours_ago // 60 * 60, ms=[10] * 37, paired=37)  # its halves are gone
    caller = Span("A", CLIENT, at=three_hours_ago)
    _insert(engine, [caller, Span("B", SERVER, caller, at=three_hours_ago)])
    assert _edges(engine) == [_edge("A", "B", calls=37, paired=37)]


def test_looking_twice_counts_nothing_twice(engine: Engine) -> None:
    _insert(engine, _through_sidecars("A", "B"))
    for _ in range(3):
        settle(engine, since=time.time())
    assert _edges(engine) == [_edge("A", "B", calls=1, paired=1)]


def test_minutes_that_are_too_many_at_once_are_found_in_turn(engine: Engine) -> None:
    minute = time.time() // 60 * 60
    for ago in (0, 1, 2, 3):
        callers = [Span("A", CLIENT, at=minute - 60 * ago) for _ in range(ago + 1)]
        # A pair whose other side is told of another minute is found with its caller's.
        _insert(engine, callers + [Span("B", SERVER, caller, at=minute - 60 * ago - 60) for caller in callers])
    settle(engine, since=time.time(), at_once=2)
    found = engine.query("SELECT minute, sum(calls) AS calls, sum(paired) AS paired FROM edges_1m FINAL GROUP BY minute", {})
    told = {(minute - row["minute"].timestamp()) / 60: (row["calls"], row["paired"]) for row in found if row["calls"]}
    assert told == {0: (1, 1), 1: (2, 2), 2: (3, 3), 3: (4, 4)}


def test_proxies_that_stand_alone_are_folded(engine: Engine) -> None:
    caller = Span("A", CLIENT)
    first_in = proxied(Span("edge-envoy", SERVER, caller))
    first_out = proxied(Span("edge-envoy", CLIENT, first_in))
    second_in = proxied(Span("inner-envoy", SERVER, first_out))
    second_out = proxied(Span("inner-envoy", CLIENT, second_in))
    callee = Span("B", SERVER, second_out)
    _insert(engine, [caller, first_in, first_out, second_in, second_out, callee])
    assert _edges(engine) == [_edge("A", "B", calls=1, paired=1)]


def test_a_very_wide_trace_keeps_its_proxies_and_costs_little(engine: Engine) -> None:
    root = Span("A", SERVER)
    spans = [root]
    for _ in range(4000):
        caller = Span("A", CLIENT, root)
        taken = proxied(Span("envoy", SERVER, caller))
        passed = proxied(Span("envoy", CLIENT, taken))
        spans += [caller, taken, passed, Span("B", SERVER, passed)]
    _insert(engine, spans)
    began = time.monotonic()
    assert _edges(engine) == [
        _edge("A", "envoy", calls=4000, paired=4000),
        _edge("envoy", "B", calls=4000, paired=4000),
        _edge("external", "A", calls=1, paired=0),
    ]
    assert time.monotonic() - began < 10


def test_a_proxy_without_a_known_caller_is_a_gateway(engine: Engine) -> None:
    taken = proxied(Span("front", SERVER))
    passed = proxied(Span("front", CLIENT, taken))
    _insert(engine, [taken, passed, Span("B", SERVER, passed)])
    assert _edges(engine) == [_edge("external", "front", calls=1, paired=0), _edge("front", "B", calls=1, paired=1)]


def test_sidecars_beside_applications_without_spans(engine: Engine) -> None:
    out_in = proxied(Span("A", SERVER), "outbound")
    out = proxied(Span("A", CLIENT, out_in, attributes={"peer.service": "B"}), "outbound")
    taken = proxied(Span("B", SERVER, out), "inbound")
    local = proxied(Span("B", CLIENT, taken, attributes={"peer.service": "B"}), "inbound")
    onward_in = proxied(Span("B", SERVER, local), "outbound")
    onward = proxied(Span("B", CLIENT, onward_in, attributes={"peer.service": "C"}), "outbound")
    _insert(engine, [out_in, out, taken, local, onward_in, onward, proxied(Span("C", SERVER, onward), "inbound")])
    assert _edges(engine) == [_edge("A", "B", calls=1, paired=1), _edge("B", "C", calls=1, paired=1)]


def test_sidecars_that_report_one_span_each(engine: Engine) -> None:
    caller = Span("A", CLIENT, attributes={"server.address": "b.svc.local"})
    out = proxied(Span("A", CLIENT, caller, attributes={"upstream_cluster": "outbound|80||b"}))
    taken = proxied(Span("B", SERVER, out, attributes={"upstream_cluster": "inbound|80||"}))
    _insert(engine, [caller, out, taken, Span("B", SERVER, taken)])
    _age(engine)
    assert _edges(engine) == [_edge("A", "B", calls=1, paired=1)]


def test_a_gateway_that_reports_one_span(engine: Engine) -> None:
    gateway = proxied(Span("front", SERVER))
    _insert(engine, [gateway, Span("B", SERVER, gateway)])
    _age(engine)
    assert _edges(engine) == [_edge("external", "front", calls=1, paired=0), _edge("front", "B", calls=1, paired=1)]


def test_proxies_between_that_report_one_span_are_folded(engine: Engine) -> None:
    caller = Span("A", CLIENT)
    first = proxied(Span("edge-envoy", SERVER, caller))
    second = proxied(Span("inner-envoy", SERVER, first))
    _insert(engine, [caller, first, second, Span("B", SERVER, second)])
    _age(engine)
    assert _edges(engine) == [_edge("A", "B", calls=1, paired=1)]


def test_retries_are_not_calls_and_a_call_errs_as_its_last_attempt(engine: Engine) -> None:
    for outcome in ([True, False], [True, True, True], [False]):
        taken = proxied(Span("A", SERVER), "outbound")
        spans = [taken]
        for number, failed in enumerate(outcome):
            attempt = proxied(
                Span("A", CLIENT, taken, error=failed, attributes={"http.request.resend_count": number}), "outbound"
            )
            spans += [attempt, proxied(Span("B", SERVER, attempt, error=failed), "inbound")]
        _insert(engine, spans)
    assert _edges(engine) == [_edge("A", "B", calls=3, errors=1, retries=3, paired=3)]


def test_a_refused_connection_is_an_error_on_the_edge_that_its_cluster_is_known_for(engine: Engine) -> None:
    cluster = {"upstream_cluster.name": "cluster-b"}
    met = proxied(Span("A", CLIENT, attributes=dict(cluster)))
    _insert(engine, [met, Span("B", SERVER, met)])
    _insert(engine, [proxied(Span("A", CLIENT, error=True, attributes=dict(cluster)))])
    _age(engine)
    assert _edges(engine) == [_edge("A", "B", calls=2, errors=1, paired=1)]


def test_a_lone_caller_names_its_peer(engine: Engine) -> None:
    _insert(engine, [Span("A", CLIENT, attributes={"db.system.name": "postgresql"})])
    assert _edges(engine) == []  # its other half may still come
    _age(engine)
    assert _edges(engine) == [_edge("A", "postgresql", calls=1, paired=0)]


def test_versions_tell_a_canary_from_the_rest(engine: Engine) -> None:
    for version, calls in (("v1", 9), ("v2", 1)):
        callers = [Span("A", CLIENT, version="v7") for _ in range(calls)]
        _insert(engine, [*callers, *(Span("B", SERVER, caller, version=version) for caller in callers)])
    settle(engine, since=time.time())
    rows = engine.query(
        "SELECT source_version, destination_version, calls FROM edges_1m FINAL WHERE calls > 0 ORDER BY destination_version", {}
    )
    assert [tuple(row.values()) for row in rows] == [("v7", "v1", 9), ("v7", "v2", 1)]


def test_the_latency_of_an_edge_is_the_callers(engine: Engine) -> None:
    callers = [Span("A", CLIENT, milliseconds=milliseconds) for milliseconds in range(1, 101)]
    _insert(engine, [*callers, *(Span("B", SERVER, caller, milliseconds=0.1) for caller in callers)])
    settle(engine, since=time.time())
    (row,) = engine.query(
        "SELECT quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency) AS ns FROM (SELECT latency FROM edges_1m FINAL WHERE calls > 0)",
        {},
    )
    for got, expected in zip(row["ns"], (50e6, 95e6, 99e6), strict=True):
        assert abs(got - expected) / expected < 0.03


def _through_sidecars(source: str, destination: str) -> list[Span]:
    caller = Span(source, CLIENT)
    out_in = proxied(Span(source, SERVER, caller), "outbound")
    out = proxied(Span(source, CLIENT, out_in, attributes={"peer.service": destination}), "outbound")
    taken = proxied(Span(destination, SERVER, out), "inbound")
    local = proxied(Span(destination, CLIENT, taken, attributes={"peer.service": destination}), "inbound")
    return [caller, out_in, out, taken, local, Span(destination, SERVER, local)]


def test_the_chain_tells_where_the_time_went(engine: Engine) -> None:
    caller = Span("a", CLIENT, milliseconds=100)
    taken = proxied(Span("a", SERVER, caller, milliseconds=90), "outbound")
    out = proxied(Span("a", CLIENT, taken, milliseconds=80), "outbound")
    received = proxied(Span("b", SERVER, out, milliseconds=70), "inbound")
    passed = proxied(Span("b", CLIENT, received, milliseconds=60), "inbound")
    callee = Span("b", SERVER, passed, milliseconds=50, error=True)
    _insert(engine, [caller, taken, out, received, passed, callee])
    settle(engine, since=time.time())
    (edge,) = engine.query("SELECT hop_ns, hop_calls, hex(slowest_trace) AS slowest FROM edges_1m FINAL WHERE calls > 0", {})
    assert [round(ns / 1e6) for ns in edge["hop_ns"]] == [100, 80, 70, 50]
    assert (edge["hop_calls"], edge["slowest"].lower()) == ([1, 1, 1, 1], callee.trace_id.hex())


def _insert(engine: Engine, spans: list[Span]) -> None:
    engine.insert("traces", [request(spans)], uuid4().hex)


def _age(engine: Engine) -> None:
    """Let the patience with lone halves run out."""
    columns = [row["name"] for row in engine.query("SELECT name FROM system.columns WHERE table = 'half_edges'", {})]
    engine.command("CREATE TABLE aged AS half_edges")
    selected = ", ".join("arrived - INTERVAL 30 SECOND" if name == "arrived" else name for name in columns)
    engine.command(f"INSERT INTO aged SELECT {selected} FROM half_edges")
    engine.command("EXCHANGE TABLES aged AND half_edges")
    engine.command("DROP TABLE aged")


def _edges(engine: Engine) -> list[dict[str, Any]]:
    settle(engine, since=time.time())
    return engine.query(
        """SELECT source, destination, sum(edges.calls) AS calls, sum(edges.errors) AS errors, sum(edges.retries) AS retries,
                  sum(edges.paired) AS paired
           FROM (SELECT * FROM edges_1m FINAL WHERE calls > 0) AS edges
           GROUP BY source, destination ORDER BY source, destination""",
        {},
    )


def _edge(source: str, destination: str, *, calls: int, paired: int, errors: int = 0, retries: int = 0) -> dict[str, Any]:
    return {"source": source, "destination": destination, "calls": calls, "errors": errors, "retries": retries, "paired": paired}
