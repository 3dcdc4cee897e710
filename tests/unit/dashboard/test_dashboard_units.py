"""Numbers and times as people read them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.components import health, units

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def plain(text: str) -> str:
    return text.replace(units.NARROW, " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, units.NONE),
        (0, "0/s"),
        (0.004, "<0.01/s"),
        (0.25, "0.25/s"),
        (12.34, "12.3/s"),
        (79.0, "79.0/s"),
        (345.6, "346/s"),
        (12_345, "12.3 k/s"),
    ],
)
def test_rates(value: float | None, text: str) -> None:
    assert plain(units.rate(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, units.NONE),
        (0.0, "0 %"),
        (0.00001, "<0.01 %"),
        (0.0042, "0.42 %"),
        (0.0213, "2.1 %"),
        (0.354, "35 %"),
        (0.9995, ">99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_percentages(value: float | None, text: str) -> None:
    assert plain(units.percent(value)) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, units.NONE),
        (0, "0 ms"),
        (0.02, "20.0 µs"),
        (1.5, "1.50 ms"),
        (43.21, "43.2 ms"),
        (240, "240 ms"),
        (1234, "1.23 s"),
        (200_000, "3 min 20 s"),
    ],
)
def test_durations(ms: float | None, text: str) -> None:
    assert plain(units.duration(ms)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (12, "12 s ago"), (200, "3 min ago"), (3600, "1 h ago"), (200_000, "2 d ago"), (-5, "just now")],
)
def test_how_long_ago(seconds: int, text: str) -> None:
    assert plain(units.ago(NOW - timedelta(seconds=seconds), NOW)) == text


def test_what_is_unknown_is_a_dash() -> None:
    assert units.ago(None, NOW) == units.clock(None) == units.plain(None) == units.NONE


def test_counts_bear_their_noun() -> None:
    assert units.count(1, "trace") == "1 trace"
    assert plain(units.count(1200, "trace")) == "1 200 traces"
    assert units.count(2, "query", "queries") == "2 queries"


@given(st.floats(0, 1e12))
def test_every_number_is_short(value: float) -> None:
    assert len(units.rate(value)) <= 12
    assert len(units.duration(value)) <= 16
    assert "e" not in units.rate(value)


@given(st.floats(0, 1))
def test_a_percentage_never_hides_that_something_or_not_everything_failed(ratio: float) -> None:
    told = plain(units.percent(ratio))
    assert (told == "0 %") == (ratio == 0)
    assert len(told) <= 9
    if 0.999 < ratio < 1:
        assert told == ">99.9 %"


@given(st.floats(0, 1000), st.floats(0, 1))
def test_health_gets_no_better_when_more_fails(rate: float, ratio: float) -> None:
    worse = health.of(rate, min(1.0, ratio * 2))
    assert health.ORDER[worse] <= health.ORDER[health.of(rate, ratio)]


def test_thresholds_of_health() -> None:
    assert [health.of(1, ratio) for ratio in (0, 0.0099, 0.01, 0.049, 0.05, 1)] == ["ok", "ok", "warn", "warn", "bad", "bad"]
    assert health.of(0, 1) is health.Health.IDLE
