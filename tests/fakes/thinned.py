"""Traces to be thinned, and which of their spans should stay: found in Python, from the same spans."""

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.clock import SystemClock
from storage.telemetry.engine import Engine
from storage.telemetry.thinning import PAST_S, REACH_S, SLICE_S, Policy, Rule
from tests.fakes.spans import CLIENT, SERVER, Span, proxied, reseed

SHARE = 0.1
GOLD = Rule(key="customer.tier", value="gold")
POLICY = Policy(after_s=0, share=SHARE, rules=(GOLD, Rule(service="shop", route="/refund", min_ns=4_000_000)))


class At(SystemClock):
    """The system's clock, but that it always is the same time."""

    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now


def trace(rng: random.Random, at: float, **told: str | float | bool) -> list[Span]:
    """Return a request from the shop through its proxy to the bank; ``told`` is ms, error, route or tier."""
    ms, error, route = float(told.get("ms", 10)), bool(told.get("error", False)), str(told.get("route", "/pay"))
    trace_id = rng.randbytes(16)
    root = Span("shop", SERVER, at=at, milliseconds=ms, trace_id=trace_id, attributes={"http.route": route})
    if "tier" in told:
        root.attributes["customer.tier"] = told["tier"]
    # What a proxy takes from its own application is no incoming request, however long it lasts.
    outbound = proxied(Span("shop", SERVER, root, at=at, milliseconds=ms * 40, attributes={"http.route": route}), "outbound")
    call = Span("shop", CLIENT, outbound, at=at, milliseconds=ms)
    callee = Span("bank", SERVER, call, at=at, milliseconds=5, error=error, attributes={"http.route": "/book"})
    return [root, outbound, call, callee]


def traces(first_hour: int, *, hours: int, each_hour: int, seed: int = 5) -> list[list[Span]]:
    """Return traces of some hours: plain ones, and of each reason to be kept a few."""
    rng = random.Random(seed)
    reseed(seed)  # another process makes the very same
    found = []
    for hour in range(hours):
        for number in range(each_hour):
            at = first_hour + hour * SLICE_S + rng.uniform(0, SLICE_S - 1)
            kinds: dict[int, dict[str, str | float | bool]] = {
                0: {"ms": 900},
                1: {"error": True},
                2: {"tier": "gold"},
                3: {"tier": "silver"},
                4: {"route": "/refund"},
                5: {"route": "/refund", "ms": 2},
            }
            found.append(trace(rng, at, **kinds.get(number, {})))
        # Begins in this hour; what speaks for it comes two hours later.
        long = trace(rng, first_hour + hour * SLICE_S + 3000)
        long.append(Span("bank", SERVER, long[0], at=long[0].at + 2 * SLICE_S, error=hour % 2 == 0))
        found.append(long)
    return found


@dataclass(frozen=True, slots=True)
class _Seen:
    span: Span
    slice: int
    incoming: bool
    route: str


def expected(given: Iterable[Sequence[Span]], policy: Policy = POLICY) -> set[bytes]:
    """Return the ids of the spans that stay once all is thinned."""
    seen = [_seen(span) for spans in given for span in spans]
    usual: dict[tuple[object, ...], list[tuple[float, float]]] = defaultdict(list)
    for each in seen:
        if each.incoming:
            usual[_who(each)].append((each.span.at, each.span.milliseconds))
    speaking: dict[bytes, set[int]] = defaultdict(set)
    for each in seen:
        if each.span.error or _drawn(each.span, policy) or _fits(each, policy) or _slow(each, usual[_who(each)]):
            speaking[each.span.trace_id].add(each.slice)
    return {
        each.span.span_id for each in seen if any(abs(each.slice - other) <= REACH_S for other in speaking[each.span.trace_id])
    }


def _seen(span: Span) -> _Seen:
    incoming = span.kind == SERVER and span.attributes.get("mesh.direction") != "outbound"
    return _Seen(span, int(span.at) // SLICE_S * SLICE_S, incoming, str(span.attributes.get("http.route", span.name)))


def _who(each: _Seen) -> tuple[object, ...]:
    return (each.span.service, each.route, each.span.attributes.get("mesh.direction"))


def _slow(each: _Seen, usual: list[tuple[float, float]]) -> bool:
    if not each.incoming:
        return False
    window = sorted(ms for at, ms in usual if each.slice - PAST_S <= at < each.slice + SLICE_S)
    return each.span.milliseconds * 0.99 > window[int(0.99 * (len(window) - 1))]


def _drawn(span: Span, policy: Policy) -> bool:
    return int.from_bytes(hashlib.md5(span.trace_id).digest()[:4], "little") < policy.share * 2**32


def _fits(each: _Seen, policy: Policy) -> bool:
    return any(
        rule.service in ("", each.span.service)
        and rule.route in ("", each.route)
        and each.span.milliseconds * 1e6 >= rule.min_ns
        and (not rule.key or each.span.attributes.get(rule.key) == rule.value)
        for rule in policy.rules
    )


def stored(engine: Engine) -> set[bytes]:
    """Return the ids of the spans that are there; each is there once."""
    rows = engine.query("SELECT lower(leftPad(hex(span_id), 16, '0')) AS id FROM spans", {})
    ids = [bytes.fromhex(row["id"]) for row in rows]
    assert len(ids) == len(set(ids))
    return set(ids)


def rollups(engine: Engine) -> dict[str, object]:
    """Return the sums of everything that is counted from spans, by table; they are those of all spans, thinned or not."""
    signals = engine.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE 'golden\\_signals\\_%'", {}
    )
    asked = {row["name"]: _SIGNALS.format(table=row["name"]) for row in signals} | _SUMS
    return {table: engine.query(sql, {}) for table, sql in asked.items()}


_SIGNALS = """
SELECT service, route, hop, sum(calls) AS n, sum(errors) AS e, sum(duration_ns) AS ns,
       quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency) AS q
FROM {table} GROUP BY service, route, hop ORDER BY service, route, hop
"""
_SUMS = {
    "trace_index": """
        SELECT uniqExact(trace_id) AS traces, sum(i.spans) AS n, sum(i.errors) AS e, min(i.start) AS a, max(i.end) AS b
        FROM trace_index AS i""",
    "half_edges": "SELECT uniqExact(trace_id, link) AS halves, sum(duration_ns) AS ns FROM half_edges",
    "edges_1m": "SELECT source, destination, sum(calls) AS n, sum(errors) AS e FROM edges_1m FINAL GROUP BY ALL ORDER BY ALL",
}
