from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.coverage import cover
from query_api.faults import InvalidParameter, InvalidTime
from query_api.times import Window, duration_ns, step_s, time_ns, window

NOW = 1_800_000_000.25
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("now", NOW),
        ("now-15m", NOW - 900),
        ("now-2h", NOW - 7200),
        ("now-1d", NOW - 86400),
        ("now-0s", NOW),
        ("2026-01-31T10:00:00Z", datetime(2026, 1, 31, 10, tzinfo=UTC).timestamp()),
        ("2026-01-31t10:00:00z", datetime(2026, 1, 31, 10, tzinfo=UTC).timestamp()),
        ("2026-01-31T10:00:00.5+02:00", datetime(2026, 1, 31, 8, 0, 0, 500_000, tzinfo=UTC).timestamp()),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_times_that_can_be_read(text: str, seconds: float) -> None:
    assert time_ns(text, "start", NOW) == round(seconds * 1e6) * 1000


def test_nanoseconds_are_kept() -> None:
    assert time_ns("1970-01-01T00:00:01.123456789Z", "start", NOW) == 1_123_456_789


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "now-",
        "now-15",
        "now-15x",
        "now+15m",
        "now - 15m",
        "now-1.5h",
        "NOW",
        "2026-01-31",
        "2026-01-31T10:00:00",
        "2026-01-31T10:00:00 02:00",
        "2026-02-30T10:00:00Z",
        "2026-01-31T25:00:00Z",
        "2026-01-31T10:00:60Z",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "now-999999999d",
        "now-9999999999999999999999s",
        "٢٠٢٦-01-31T10:00:00Z",
        "now\n",
        "1800000000",
        "2026-01-31T10:00:00+99:00",
    ],
)
def test_times_that_cannot(text: str) -> None:
    with pytest.raises(InvalidTime, match="start"):
        time_ns(text, "start", NOW)


@given(
    st.text(max_size=40)
    | st.from_regex(r"now-[0-9]{1,12}[smhdx]|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,20}(Z|[+-][0-9]{2}:[0-9]{2})")
)
def test_any_text_is_a_moment_between_1970_and_2100_or_an_invalid_time(text: str) -> None:
    try:
        found = time_ns(text, "start", NOW)
    except InvalidTime:
        return
    assert 0 <= found < 4_102_444_800 * SECOND


def test_a_window_starts_before_it_ends_and_is_bounded() -> None:
    assert window("now-15m", "now", 1000.0) == Window(100 * SECOND, 1000 * SECOND)
    assert window("now-31d", "now", NOW).start.isoformat() == "2026-12-15T08:00:00.250000+00:00"
    with pytest.raises(InvalidTime, match="before"):
        window("now", "now", NOW)
    with pytest.raises(InvalidTime, match="before"):
        window("now", "now-1m", NOW)
    with pytest.raises(InvalidTime, match="31 days"):
        window("now-32d", "now", NOW)


@pytest.mark.parametrize(
    ("text", "ns"), [("250ms", 250_000_000), ("1.5s", 1_500_000_000), ("0s", 0), ("7us", 7_000), ("3ns", 3), ("2m", 120 * SECOND)]
)
def test_durations_that_can_be_read(text: str, ns: int) -> None:
    assert duration_ns(text, "min_duration") == ns


@pytest.mark.parametrize("text", ["", "250", "ms", "-1s", "1 s", "1e3s", "inf", "nan", "1s1ms", "999999999d", "1.s", "²s"])
def test_durations_that_cannot(text: str) -> None:
    with pytest.raises(InvalidParameter, match="min_duration"):
        duration_ns(text, "min_duration")


@pytest.mark.parametrize(
    ("text", "hours", "expected"),
    [
        ("10s", 1, 10),
        ("1s", 1, 10),
        ("15s", 1, 20),
        ("1m", 24, 120),
        ("2m", 24, 120),
        ("10s", 3, 20),
        ("1d", 1, 3600),
        ("10s", 168, 3600),
    ],
)
def test_steps_are_whole_grains_and_few(text: str, hours: int, expected: int) -> None:
    assert step_s(text, Window(0, hours * 3600 * SECOND), grain=10, most=1000) == expected


@pytest.mark.parametrize("text", ["0s", "500ms", "0.9s", "ten", "-10s"])
def test_steps_that_cannot(text: str) -> None:
    with pytest.raises(InvalidParameter, match="step"):
        step_s(text, Window(0, 3600 * SECOND), grain=10, most=1000)


@given(st.integers(0, 2**50), st.integers(1, 31 * 86400 * SECOND), st.integers(1, 10**6))
def test_a_window_never_has_more_steps_than_allowed(start: int, length: int, wanted: int) -> None:
    asked = Window(start, start + length)
    step = step_s(f"{wanted}s", asked, grain=10, most=1000)
    first, last = asked.grid(step)
    assert step % 10 == 0
    assert 1 <= (last - first) // step <= 1000


def test_what_is_shown_is_whole_grains_but_not_what_is_to_come() -> None:
    asked = Window(1005 * SECOND, 1095 * SECOND)
    assert cover(asked, grain=10, first_ns=None, now=5000).shown == Window(1000 * SECOND, 1100 * SECOND)
    assert cover(asked, grain=60, first_ns=None, now=1110).shown == Window(960 * SECOND, 1110 * SECOND)
    assert cover(asked, grain=60, first_ns=None, now=1050).shown == Window(960 * SECOND, 1095 * SECOND)


def test_coverage_is_where_window_data_and_the_past_meet() -> None:
    asked = Window(1005 * SECOND, 1095 * SECOND)
    whole = cover(asked, grain=10, first_ns=5, now=5000)
    assert (whole.from_s, whole.to_s, whole.seconds) == (1000, 1100, 100)
    assert cover(asked, grain=10, first_ns=1_050_500_000_000, now=1090.5).seconds == 40
    assert cover(asked, grain=60, first_ns=5, now=5000).seconds == 1140 - 960
    assert cover(asked, grain=10, first_ns=None, now=5000).seconds == 100
    assert cover(asked, grain=10, first_ns=5, now=500).seconds == 1  # the window lies in the future
