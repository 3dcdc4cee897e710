from hypothesis import given
from hypothesis import strategies as st

from alerting.state import SHOWN_AFTER_RESOLVED, Change, Course, advance, inactive, resume
from storage.state.alert_store import AlertState

HOLD = 30.0
# One evaluation: seconds since the one before, and whether the condition holds.
EVALUATIONS = st.lists(st.tuples(st.floats(0.0, 2000.0), st.booleans()), max_size=60)


def test_a_condition_that_holds_goes_through_pending_to_firing_and_resolves_at_once() -> None:
    course, changes = inactive(0.0), []
    for now, holds in ((5, True), (20, True), (34.9, True), (35, True), (40, True), (45, False), (50, False), (945, False)):
        course, change = advance(course, holds=holds, hold=HOLD, now=float(now))
        changes.append(change)
    assert changes == [
        Change.BEGAN, Change.NONE, Change.NONE, Change.FIRED, Change.NONE, Change.RESOLVED, Change.NONE, Change.RESTED,
    ]  # fmt: skip
    assert course == Course(AlertState.INACTIVE, since=945.0)


def test_without_hold_it_fires_at_once() -> None:
    course, change = advance(inactive(0.0), holds=True, hold=0.0, now=5.0)
    assert (change, course) == (Change.FIRED, Course(AlertState.FIRING, since=5.0, fired_at=5.0))


def test_one_gap_ends_pending() -> None:
    course, _ = advance(inactive(0.0), holds=True, hold=HOLD, now=1.0)
    course, change = advance(course, holds=False, hold=HOLD, now=29.0)
    assert change is Change.CLEARED
    course, _ = advance(course, holds=True, hold=HOLD, now=32.0)
    assert course == Course(AlertState.PENDING, since=32.0)


def test_a_resolved_alert_may_begin_again_before_it_rests() -> None:
    firing = Course(AlertState.FIRING, since=0.0, fired_at=30.0)
    resolved, _ = advance(firing, holds=False, hold=HOLD, now=60.0)
    again, change = advance(resolved, holds=True, hold=HOLD, now=70.0)
    assert (change, again) == (Change.BEGAN, Course(AlertState.PENDING, since=70.0))


def test_time_in_which_nobody_looked_does_not_count_towards_pending() -> None:
    pending = Course(AlertState.PENDING, since=100.0)
    resumed = resume(pending, last_seen=110.0, now=1000.0)
    assert advance(resumed, holds=True, hold=HOLD, now=1000.0)[1] is Change.NONE
    assert advance(resumed, holds=True, hold=HOLD, now=1020.0)[1] is Change.FIRED
    firing = Course(AlertState.FIRING, since=1.0, fired_at=2.0)
    assert resume(firing, last_seen=110.0, now=1000.0) == firing


@given(EVALUATIONS)
def test_it_fires_exactly_when_the_condition_held_without_a_break_for_long_enough(evaluations: list[tuple[float, bool]]) -> None:
    """A model: firing means the unbroken run of true evaluations that ends now has ever been at least HOLD long."""
    now, course, run_began = 0.0, inactive(0.0), None
    for wait, holds in evaluations:
        now += wait
        run_began = (now if run_began is None else run_began) if holds else None
        course, _ = advance(course, holds=holds, hold=HOLD, now=now)
        should_fire = run_began is not None and now - run_began >= HOLD
        assert (course.state is AlertState.FIRING) == should_fire
        assert (course.state is AlertState.PENDING) == (holds and not should_fire)


@given(EVALUATIONS)
def test_each_resolution_follows_a_firing_and_times_are_in_order(evaluations: list[tuple[float, bool]]) -> None:
    now, course, open_firings = 0.0, inactive(0.0), 0
    for wait, holds in evaluations:
        now += wait
        before = course
        course, change = advance(course, holds=holds, hold=HOLD, now=now)
        open_firings += (change is Change.FIRED) - (change is Change.RESOLVED)
        assert open_firings == (course.state is AlertState.FIRING)
        assert (change is Change.NONE) == (before == course)
        times = [time for time in (course.since, course.fired_at, course.resolved_at) if time is not None]
        assert times == sorted(times)
        assert (course.resolved_at is not None) == (course.state is AlertState.RESOLVED)
        if course.state is AlertState.RESOLVED:
            assert now - (course.resolved_at or 0) < SHOWN_AFTER_RESOLVED or before.state is AlertState.FIRING


@given(EVALUATIONS, st.booleans())
def test_evaluating_twice_at_one_moment_is_as_once(evaluations: list[tuple[float, bool]], holds: bool) -> None:
    now, course = 0.0, inactive(0.0)
    for wait, held in evaluations:
        now += wait
        course, _ = advance(course, holds=held, hold=HOLD, now=now)
    once, _ = advance(course, holds=holds, hold=HOLD, now=now)
    assert advance(once, holds=holds, hold=HOLD, now=now) == (once, Change.NONE)
