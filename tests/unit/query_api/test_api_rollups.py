"""Which rollup answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.rollups import HOURS, MINUTES, TEN_SECONDS, Kept, Rollup, dividing, kept, suited
from query_api.times import Window

SECOND = 1_000_000_000
HOUR_S = 3600
ALL = (TEN_SECONDS, MINUTES, HOURS)
BEGIN = 1_800_000_000 // HOUR_S * HOUR_S


def window(seconds: float, start_s: float = BEGIN) -> Window:
    return Window(round(start_s * SECOND), round((start_s + seconds) * SECOND))


@pytest.mark.parametrize(
    ("seconds", "rollup"),
    [
        (1, TEN_SECONDS),
        (900, TEN_SECONDS),
        (2 * HOUR_S - 1, TEN_SECONDS),
        (2 * HOUR_S, MINUTES),
        (24 * HOUR_S - 1, MINUTES),
        (24 * HOUR_S, HOURS),
        (31 * 24 * HOUR_S, HOURS),
    ],
)
def test_the_longer_the_window_the_coarser_its_rollup(seconds: int, rollup: Rollup) -> None:
    assert suited(window(seconds), ALL) == rollup


def test_none_finer_than_wanted_and_none_that_has_lost_the_windows_start() -> None:
    assert suited(window(900), ALL, finest=MINUTES) == MINUTES
    assert suited(window(900), [MINUTES, HOURS]) == MINUTES
    assert suited(window(900), [HOURS], finest=MINUTES) == HOURS
    assert suited(window(2 * HOUR_S), [TEN_SECONDS, HOURS]) == TEN_SECONDS


@pytest.mark.parametrize(
    ("step_s", "coarsest", "rollup"),
    [
        (10, HOURS, TEN_SECONDS),
        (90, HOURS, TEN_SECONDS),
        (60, HOURS, MINUTES),
        (720, HOURS, MINUTES),
        (3600, HOURS, HOURS),
        (86400, HOURS, HOURS),
        (3600, MINUTES, MINUTES),
        (3600, TEN_SECONDS, TEN_SECONDS),
    ],
)
def test_points_come_from_the_coarsest_rollup_that_their_step_is_made_of(step_s: int, coarsest: Rollup, rollup: Rollup) -> None:
    assert dividing(step_s, ALL, coarsest=coarsest) == rollup


def test_nothing_is_kept_of_nothing() -> None:
    assert kept(None, None, None, None) == Kept(None, 0, 0)
    assert Kept(None, 0, 0).holding(window(900)) == [*ALL]


def test_data_began_with_the_first_span_as_long_as_that_is_kept() -> None:
    assert kept(BEGIN, BEGIN + 60, BEGIN + 70, (BEGIN + 72) * SECOND) == Kept((BEGIN + 72) * SECOND, 0, 0)
    assert kept(BEGIN, BEGIN + 60, BEGIN + 70, (BEGIN + 99) * SECOND) == Kept((BEGIN + 70) * SECOND, 0, 0)
    assert kept(BEGIN, BEGIN + 60, BEGIN + 70, (BEGIN - 9) * SECOND) == Kept((BEGIN + 70) * SECOND, 0, 0)
    assert kept(BEGIN, BEGIN + 60, BEGIN + 70, None) == Kept((BEGIN + 70) * SECOND, 0, 0)


def test_a_rollup_holds_what_begins_after_its_loss() -> None:
    lost = kept(BEGIN, BEGIN + 60, BEGIN + 7200, (BEGIN + 7201) * SECOND)
    assert lost == Kept((BEGIN + 60) * SECOND, BEGIN + 7200, 0)
    assert lost.holding(window(900)) == [MINUTES, HOURS]
    assert lost.holding(window(900, BEGIN + 7199)) == [MINUTES, HOURS]
    assert lost.holding(window(900, BEGIN + 7205)) == [*ALL]
    both = kept(BEGIN, BEGIN + 36000, BEGIN + 72000, None)
    assert both.first_ns == BEGIN * SECOND
    assert both.holding(window(900)) == [HOURS]
    assert both.holding(window(900, BEGIN + 36000)) == [MINUTES, HOURS]
    assert kept(BEGIN, BEGIN, None, None).holding(window(900, BEGIN + 10**8)) == [MINUTES, HOURS]
    assert kept(BEGIN, None, None, None) == Kept(BEGIN * SECOND, 2**62, 2**62)


@given(
    st.tuples(*[st.none() | st.integers(0, 2**32 - 1)] * 3),
    st.none() | st.integers(0, 2**62),
    st.integers(0, 2**61),
    st.integers(1, 31 * 86400 * SECOND),
    st.integers(1, 10**6),
)
def test_there_is_always_a_rollup_for_totals_and_one_for_points(
    firsts: tuple[int | None, int | None, int | None], span_ns: int | None, start_ns: int, length_ns: int, step: int
) -> None:
    asked = Window(start_ns, start_ns + length_ns)
    holding = kept(*firsts, span_ns).holding(asked)
    totals = suited(asked, holding)
    points = dividing(step * holding[0].grain_s, holding, coarsest=totals)
    assert {totals, points} <= set(holding)
    assert points.grain_s <= totals.grain_s
    assert totals.grain_s % points.grain_s == 0
