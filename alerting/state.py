"""How an alert goes from inactive to pending, firing and resolved; time is an argument.

The rules are Prometheus': a condition must hold without a break for the rule's ``for`` before it fires; one evaluation at which
it does not hold, or at which there is nothing to measure, ends it. (An evaluation that could not be made is no evaluation: the
caller then changes nothing.) A resolved alert is shown for 15 minutes and then is inactive.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from storage.state.alert_store import AlertState

SHOWN_AFTER_RESOLVED = 15 * 60.0  # seconds


class Change(StrEnum):
    """What an evaluation did to an alert."""

    NONE = "none"
    BEGAN = "began"  # the condition holds, but not yet for long enough
    FIRED = "fired"
    CLEARED = "cleared"  # it stopped holding before it fired
    RESOLVED = "resolved"
    RESTED = "rested"  # resolved long ago: inactive again


@dataclass(frozen=True, slots=True)
class Course:
    """Where one alert stands; times are seconds since the Unix epoch.

    ``since`` is when the condition began to hold, when inactive since when it does not.
    """

    state: AlertState
    since: float
    fired_at: float | None = None
    resolved_at: float | None = None


def inactive(now: float) -> Course:
    """Return the course of an alert that is seen for the first time."""
    return Course(AlertState.INACTIVE, since=now)


def advance(course: Course, *, holds: bool, hold: float, now: float) -> tuple[Course, Change]:
    """Return the course after an evaluation at ``now`` and what it changed; ``hold`` is the rule's ``for`` in seconds."""
    if holds:
        return _holding(course, hold, now)
    match course.state:
        case AlertState.PENDING:
            return inactive(now), Change.CLEARED
        case AlertState.FIRING:
            return replace(course, state=AlertState.RESOLVED, resolved_at=now), Change.RESOLVED
        case AlertState.RESOLVED if now - (course.resolved_at or 0.0) >= SHOWN_AFTER_RESOLVED:
            return inactive(now), Change.RESTED
        case _:
            return course, Change.NONE


def _holding(course: Course, hold: float, now: float) -> tuple[Course, Change]:
    if course.state is AlertState.FIRING:
        return course, Change.NONE
    since = course.since if course.state is AlertState.PENDING else now
    if now - since >= hold:
        return Course(AlertState.FIRING, since, fired_at=now), Change.FIRED
    if course.state is AlertState.PENDING:
        return course, Change.NONE
    return Course(AlertState.PENDING, since), Change.BEGAN


def resume(course: Course, *, last_seen: float, now: float) -> Course:
    """Return the course after a restart: time in which nobody looked does not count towards ``for`` (as in Prometheus)."""
    unseen = max(0.0, now - last_seen)
    return replace(course, since=course.since + unseen) if course.state is AlertState.PENDING else course
