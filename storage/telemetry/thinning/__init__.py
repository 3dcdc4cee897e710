"""Sampling with hindsight: after a while only the traces that are worth it keep their spans; rollups count every span.

Time is cut into slices of an hour by the start of spans. A slice is judged as soon as it has ended, and again when late spans
came: what speaks for a trace is written down as a verdict. When the slice is old enough it is swept: the spans go whose trace
has no verdict in reach. Every step may be done again, by this process or by another one at the same time: verdicts are only
ever added, a sweep removes what has none, and whether a slice is done is seen from what it holds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Literal

from storage.telemetry.engine import Engine

SLICE_S = 3600
REACH_S = 6 * 3600
"""How far apart a span of a trace, and what speaks for the trace, may lie: longer traces are judged piece by piece."""

PATIENCE_S = 120
"""How long after its end a slice is judged for the first time."""

PAST_S = 5 * 3600
"""How far before a slice a route's usual durations are taken from, besides the slice itself."""

AT_ONCE = 2_000_000
"""How many spans are judged, or verdicts looked through, in one statement: bounds its memory and how long inserts wait for it."""

Quantile = Literal["p95", "p99"]
_PLACE: Mapping[Quantile, int] = {"p95": 2, "p99": 3}


@dataclass(frozen=True, slots=True)
class Rule:
    """What one span of a trace must be like for the trace to be kept; what is empty fits all."""

    service: str = ""
    route: str = ""
    min_ns: int = 0
    key: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which traces outlive their first ``after_s`` seconds: that erred, were slow, fit a rule, or fall in the random share."""

    after_s: float
    share: float = 0.05
    slower_than: Quantile = "p99"
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Slice:
    """An hour of spans: ``spans`` it holds now, of which ``judged`` had come when its traces were last judged."""

    start: int
    spans: int
    judged: int = 0
    swept: bool = False
    spans_seen: int = 0
    traces_seen: int = 0
    spans_kept: int = 0
    traces_kept: int = 0

    @property
    def end(self) -> int:
        """When the slice ends, in seconds since the epoch."""
        return self.start + SLICE_S

    @property
    def is_judged(self) -> bool:
        """Whether no span came since its traces were judged."""
        return self.spans <= self.judged


def slices(engine: Engine, *, now: float) -> list[Slice]:
    """Return the slices that have ended and hold spans, the oldest first."""
    rows = engine.query(_sql("slices"), {"until": int(now - PATIENCE_S) // SLICE_S * SLICE_S, "length": SLICE_S})
    return [Slice(**row) for row in rows]


def judge(engine: Engine, policy: Policy, each: Slice) -> Slice:
    """Write down what speaks for the traces of a slice, besides what was written before; return how the slice stands."""
    wanted = {"share": round(policy.share * 2**32), "quantile": _PLACE[policy.slower_than], "past": PAST_S}
    for part in _parts(each, each.spans):
        engine.command(_sql("judge"), part | wanted)
        for rule in policy.rules:
            fits = {"service": rule.service, "route": rule.route, "min_ns": rule.min_ns, "key": rule.key, "value": rule.value}
            engine.command(_sql("judge_rule"), part | fits)
    return _note(engine, replace(each, judged=each.spans, swept=False, spans_seen=each.spans_seen + each.spans - each.judged))


def sweep(engine: Engine, each: Slice) -> Slice:
    """Ask the store to remove the spans of a judged slice that have no verdict; return how the slice stands.

    The store does so by and by, see ``unfinished``; then call ``swept``.
    """
    there = _tally(engine, each)
    # What will be kept is written first: after the removal nobody can tell how many traces there were.
    each = _note(engine, replace(_with(each, there), traces_seen=max(each.traces_seen, there.traces)))
    if there.spans > there.spans_kept:
        for part in _parts(each, _verdicts(engine, each)):
            engine.command(_sql("sweep"), part | {"reach": REACH_S})
    return each


def swept(engine: Engine, each: Slice) -> Slice:
    """Look at a slice after its removals are done; return how it stands: not swept when late spans are to be judged first."""
    there = _tally(engine, each)
    done = there.spans == there.spans_kept
    return _note(engine, replace(_with(each, there), swept=done, judged=there.spans_kept))


def unfinished(engine: Engine) -> tuple[int, str]:
    """Return how many removals are not done yet, and what the store says keeps it from doing them ("" if nothing)."""
    (row,) = engine.query(_sql("unfinished"), {})
    return row["unfinished"], row["trouble"]


def half_empty(engine: Engine) -> list[str]:
    """Return the days of which more than half was removed without giving its room back."""
    return [row["day"] for row in engine.query(_sql("half_empty"), {})]


def reclaim(engine: Engine, day: str) -> None:
    """Ask the store to write a day anew without what was removed; it does so by and by, see ``unfinished``."""
    engine.command(_sql("reclaim"), {"day": day})


@dataclass(frozen=True, slots=True)
class _Tally:
    """How many spans and traces a slice holds, and how many of them have a verdict in reach."""

    spans: int = 0
    traces: int = 0
    spans_kept: int = 0
    traces_kept: int = 0


def _tally(engine: Engine, each: Slice) -> _Tally:
    rows = [
        engine.query(_sql("tally"), part | {"reach": REACH_S})[0]
        for part in _parts(each, max(each.spans, _verdicts(engine, each)))
    ]
    return _Tally(**{name: sum(row[name] for row in rows) for name in _Tally.__slots__})


def _with(each: Slice, there: _Tally) -> Slice:
    return replace(each, spans=there.spans, spans_kept=there.spans_kept, traces_kept=there.traces_kept)


def _note(engine: Engine, each: Slice) -> Slice:
    engine.command(_sql("note"), asdict(each))
    return each


def _verdicts(engine: Engine, each: Slice) -> int:
    (row,) = engine.query(_sql("kept_in_reach"), {"slice": each.start, "reach": REACH_S})
    verdicts: int = row["verdicts"]
    return verdicts


def _parts(each: Slice, size: int) -> Iterable[dict[str, Any]]:
    buckets = size // AT_ONCE + 1
    for bucket in range(buckets):
        yield {"slice": each.start, "length": SLICE_S, "buckets": buckets, "bucket": bucket}


@cache
def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.sql").read_text("utf-8")
