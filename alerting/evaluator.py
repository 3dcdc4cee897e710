"""What a round of measurements makes of the alerts: pure, time is an argument."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from alerting.annotations import Annotator, Reading
from alerting.labels import fingerprint
from alerting.measure import Sample
from alerting.rules import ANY, Rule
from alerting.state import Change, Course, advance, inactive, resume
from storage.state.alert_store import AlertRecord, AlertState

_ACTIVE = (AlertState.PENDING, AlertState.FIRING)


@dataclass(frozen=True, slots=True)
class Outcome:
    """An alert after an evaluation and what the evaluation changed; ``forgotten`` alerts are no longer kept."""

    alert: AlertRecord
    change: Change
    forgotten: bool = False


def evaluate(
    rule: Rule, samples: Iterable[Sample], known: Iterable[AlertRecord], *, annotator: Annotator, now: float
) -> list[Outcome]:
    """Return the outcome for each subject that was measured, is named by the rule, or was known before."""
    before = {alert.fingerprint: alert for alert in known}
    values: dict[str, float | None] = {}
    labels: dict[str, dict[str, str]] = {}
    named = [] if ANY in rule.subject.values() else [(rule.subject, None)]
    for subject, value in [*named, *((sample.subject, sample.value) for sample in samples)]:
        its_labels = rule.labels_for(subject)
        mark = fingerprint(its_labels)
        labels[mark], values[mark] = its_labels, value
    outcomes = [
        _measured(rule, before.get(mark) or _first(rule, mark, labels[mark], now), values[mark], annotator, now)
        for mark in labels
    ]
    return outcomes + [_ended(alert, now) for mark, alert in before.items() if mark not in labels]


def retire(known: Iterable[AlertRecord], now: float) -> list[Outcome]:
    """Return the outcome for alerts whose rule is no longer in the rule file: they end."""
    return [_ended(alert, now) for alert in known]


def resumed(alerts: Iterable[AlertRecord], now: float) -> list[AlertRecord]:
    """Return the alerts as they continue after a restart."""
    return [_with(alert, resume(_course(alert), last_seen=alert.updated_at, now=now)) for alert in alerts]


def _measured(rule: Rule, alert: AlertRecord, value: float | None, annotator: Annotator, now: float) -> Outcome:
    course, change = advance(_course(alert), holds=rule.holds(value), hold=rule.hold, now=now)
    after = replace(_with(alert, course), value=value, threshold=rule.threshold, updated_at=now)
    if value is not None and after.state in _ACTIVE:
        reading = Reading(rule.name, alert.labels, rule.metric, value, rule.threshold, rule.window)
        after = replace(after, annotations=annotator.render(rule.annotations, reading))
    elif after.state is AlertState.INACTIVE:
        after = replace(after, annotations={})
    return Outcome(_told_nobody(after) if change in (Change.FIRED, Change.BEGAN) else after, change)


def _ended(alert: AlertRecord, now: float) -> Outcome:
    course, change = advance(_course(alert), holds=False, hold=0.0, now=now)
    after = replace(_with(alert, course), value=None, updated_at=now)
    return Outcome(after, change, forgotten=course.state is AlertState.INACTIVE)


def _first(rule: Rule, mark: str, labels: Mapping[str, str], now: float) -> AlertRecord:
    course = inactive(now)
    return AlertRecord(rule.name, mark, labels, course.state, None, rule.threshold, active_since=now, updated_at=now)


def _told_nobody(alert: AlertRecord) -> AlertRecord:
    return replace(alert, notified_at=None, receivers=())


def _course(alert: AlertRecord) -> Course:
    return Course(alert.state, alert.active_since, alert.fired_at, alert.resolved_at)


def _with(alert: AlertRecord, course: Course) -> AlertRecord:
    return replace(alert, state=course.state, active_since=course.since, fired_at=course.fired_at, resolved_at=course.resolved_at)
