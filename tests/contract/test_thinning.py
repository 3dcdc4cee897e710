"""Thinning keeps what it should, removes the rest, and never touches what was counted."""

import asyncio
import random
import time
from collections.abc import Sequence
from uuid import uuid4

import pytest

from collector.thinning import TraceThinner
from storage.telemetry import thinning
from storage.telemetry.edges import settle
from storage.telemetry.engine import Engine
from storage.telemetry.thinning import SLICE_S, Policy
from tests.fakes import thinned
from tests.fakes.processes import until
from tests.fakes.spans import SERVER, Span, request
from tests.fakes.thinned import POLICY, At, expected, rollups, stored, trace, traces

HOURS = 3
NOW = time.time() // SLICE_S * SLICE_S
FIRST = int(NOW) - (HOURS + 3) * SLICE_S


def insert(engine: Engine, *spans: Span, token: str = "") -> None:
    engine.insert("traces", [request(spans)], token or uuid4().hex)


def fill(engine: Engine, given: Sequence[Sequence[Span]]) -> None:
    for spans in given[:3]:
        for span in spans:
            insert(engine, span)  # the spans of a trace come one by one
    insert(engine, *(span for spans in given[3:] for span in spans))
    settle(engine, since=time.time() - 3600)


def thinner(engine: Engine, policy: Policy = POLICY, now: float = NOW + 600) -> TraceThinner:
    return TraceThinner(engine, At(now), policy)


async def test_what_stays_is_what_python_finds_and_what_was_counted_stays_counted(engine: Engine) -> None:
    given = traces(FIRST, hours=HOURS, each_hour=120)
    fill(engine, given)
    before = rollups(engine)
    await thinner(engine).look()
    stays = expected(given)
    assert 0.1 < len(stays) / sum(map(len, given)) < 0.5
    assert stored(engine) == stays
    assert rollups(engine) == before
    await thinner(engine).look()
    assert stored(engine) == stays


async def test_each_reason_is_written_down(engine: Engine) -> None:
    rng = random.Random(1)
    plain = [trace(rng, FIRST + n) for n in range(120)]
    told = {1: trace(rng, FIRST, error=True), 2: trace(rng, FIRST, ms=900), 4: trace(rng, FIRST, tier="gold")}
    fill(engine, [*plain, *told.values()])
    await thinner(engine, Policy(0, share=0, rules=POLICY.rules)).look()
    found = engine.query("SELECT lower(hex(trace_id)) AS id, groupBitOr(why) AS why FROM kept_traces GROUP BY id", {})
    assert {row["id"]: row["why"] for row in found} == {spans[0].trace_id.hex(): why for why, spans in told.items()}
    assert stored(engine) == {span.span_id for spans in told.values() for span in spans}


async def test_a_route_whose_requests_all_take_the_same_time_has_no_slow_ones(engine: Engine) -> None:
    rng = random.Random(2)
    fill(engine, [trace(rng, FIRST + n, ms=ms) for n in range(100) for ms in (7.3,)])
    await thinner(engine, Policy(0, share=0)).look()
    assert stored(engine) == set()


async def test_where_rollups_are_gone_nothing_is_slow(engine: Engine) -> None:
    rng = random.Random(9)
    fill(engine, [trace(rng, FIRST + n, ms=n + 1) for n in range(20)])
    engine.command("TRUNCATE TABLE golden_signals_1h")
    await thinner(engine, Policy(0, share=0)).look()
    assert stored(engine) == set()


async def test_young_slices_stay_whole(engine: Engine) -> None:
    given = traces(FIRST, hours=HOURS, each_hour=20)
    fill(engine, given)
    # The second hour is as old as is asked for, to the second; the third is not.
    await thinner(engine, Policy(3 * SLICE_S, share=0), now=FIRST + 5 * SLICE_S).look()
    young = {span.span_id for spans in given for span in spans if span.at >= FIRST + 2 * SLICE_S}
    assert stored(engine) == young | expected(given, Policy(0, share=0))


async def test_late_spans_of_kept_traces_stay_and_others_go(engine: Engine) -> None:
    rng = random.Random(3)
    plain, bad = trace(rng, FIRST), trace(rng, FIRST, error=True)
    fill(engine, [plain, bad])
    policy = Policy(0, share=0)
    await thinner(engine, policy).look()
    assert stored(engine) == {span.span_id for span in bad}
    late_plain, late_bad = Span("late", SERVER, plain[0], at=FIRST + 1), Span("late", SERVER, bad[0], at=FIRST + 1)
    insert(engine, late_plain, late_bad)
    await thinner(engine, policy).look()
    assert stored(engine) == {span.span_id for span in [*bad, late_bad]}


async def test_an_error_that_comes_after_its_trace_was_thinned_keeps_what_comes_from_then_on(engine: Engine) -> None:
    plain = trace(random.Random(4), FIRST)
    fill(engine, [plain])
    policy = Policy(0, share=0)
    await thinner(engine, policy).look()
    assert stored(engine) == set()
    error, later = Span("late", SERVER, plain[0], at=FIRST + 1, error=True), Span("late", SERVER, plain[0], at=FIRST + 2)
    for span in (error, later):
        insert(engine, span)
        await thinner(engine, policy).look()
    assert stored(engine) == {error.span_id, later.span_id}


def test_an_error_that_comes_between_verdict_and_sweep_is_not_swept_unjudged(engine: Engine) -> None:
    plain = trace(random.Random(5), FIRST)
    fill(engine, [plain])
    policy = Policy(0, share=0)
    (found,) = thinning.slices(engine, now=NOW + 600)
    judged = thinning.judge(engine, policy, found)
    error = Span("late", SERVER, plain[0], at=FIRST + 1, error=True)
    insert(engine, error)
    sweeping = thinning.sweep(engine, judged)
    _until_removed(engine)
    assert not thinning.swept(engine, sweeping).swept
    asyncio.run(thinner(engine, policy).look())
    assert stored(engine) == {error.span_id}
    (found,) = thinning.slices(engine, now=NOW + 600)
    assert found.swept


async def test_the_numbers_of_a_slice_add_up(engine: Engine) -> None:
    given = traces(FIRST, hours=1, each_hour=60)
    in_slice = [span for spans in given for span in spans if span.at < FIRST + SLICE_S]
    fill(engine, given)
    await thinner(engine).look()
    found = thinning.slices(engine, now=NOW + 600)[0]
    late = [Span("late", SERVER, spans[0], at=FIRST + 1) for spans in given]
    insert(engine, *late)
    await thinner(engine).look()
    again = thinning.slices(engine, now=NOW + 600)[0]
    stays = expected(given)
    assert (found.spans_seen, found.traces_seen) == (len(in_slice), len(given))
    assert found.spans_kept == found.spans == len(stays & {span.span_id for span in in_slice})
    assert (again.spans_seen, again.traces_seen) == (len(in_slice) + len(late), len(given))
    assert again.traces_kept == found.traces_kept == sum(1 for spans in given if spans[0].span_id in stays)
    assert again.spans_kept == again.spans == found.spans + found.traces_kept


async def test_a_block_that_comes_again_after_its_spans_went_is_still_known(engine: Engine) -> None:
    spans = trace(random.Random(6), FIRST)
    insert(engine, *spans, token="once")
    await thinner(engine, Policy(0, share=0)).look()
    before = rollups(engine)
    insert(engine, *spans, token="once")
    assert stored(engine) == set()
    assert rollups(engine) == before


async def test_large_slices_are_judged_and_swept_in_parts(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "AT_ONCE", 100)
    given = traces(FIRST, hours=1, each_hour=60)
    fill(engine, given)
    await thinner(engine).look()
    assert stored(engine) == expected(given)


async def test_two_at_once_do_no_harm(engine: Engine) -> None:
    given = traces(FIRST, hours=2, each_hour=60)
    fill(engine, given)
    before = rollups(engine)
    await asyncio.gather(*(thinner(engine).look() for _ in range(2)))
    assert stored(engine) == expected(given)
    assert rollups(engine) == before


async def test_what_was_removed_gives_its_room_back(engine: Engine) -> None:
    fill(engine, traces(FIRST, hours=1, each_hour=150))
    await thinner(engine, Policy(0, share=0)).look()
    (row,) = engine.query("SELECT sum(rows) AS n FROM system.parts WHERE table = 'spans' AND active", {})
    assert row["n"] <= 2 * len(stored(engine))


def _until_removed(engine: Engine) -> None:
    until("the removal", lambda: thinning.unfinished(engine)[0] == 0)


def test_the_reference_knows_every_reason() -> None:
    given = traces(FIRST, hours=1, each_hour=300)
    none = Policy(0, share=0)
    counts = [len(expected(given, policy)) for policy in (none, Policy(0, share=0.1), Policy(0, 0, rules=(thinned.GOLD,)))]
    assert counts[0] < counts[2] < counts[1]
