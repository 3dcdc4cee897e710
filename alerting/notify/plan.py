"""Decides who is to be told what after a round: pure, time is an argument."""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from alerting.evaluator import Outcome
from alerting.state import Change
from storage.state.alert_store import AlertRecord, AlertState


@dataclass(frozen=True, slots=True)
class Notice:
    """One webhook is to be told of these alerts of one rule."""

    rule: str
    webhook: str
    alerts: tuple[AlertRecord, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The notices of a round and the alerts after it, told ones marked as told."""

    notices: tuple[Notice, ...] = ()
    alerts: Mapping[str, AlertRecord] = field(default_factory=dict)


def plan(
    rule: str,
    outcomes: Sequence[Outcome],
    *,
    told: Collection[str],
    webhooks: Collection[str],
    pending: Set[tuple[str, str]],
    repeat_interval: float,
    now: float,
) -> Plan:
    """Return what follows from the outcomes of one rule; ``told`` are those of the ``webhooks`` that the rule tells.

    A notice names every alert of the rule that fires and those that have just resolved. It is made when one fired or resolved,
    and again each ``repeat_interval`` seconds while one fires (not while an earlier one still waits: ``pending``).
    A resolved alert is told to those who were told that it fired, also when the rule no longer names them.
    """
    alerts = {outcome.alert.fingerprint: outcome.alert for outcome in outcomes if not outcome.forgotten}
    firing = [alert for alert in alerts.values() if alert.state is AlertState.FIRING]
    resolved = [outcome.alert for outcome in outcomes if outcome.change is Change.RESOLVED]
    changed = bool(resolved) or any(outcome.change is Change.FIRED for outcome in outcomes)
    if not changed and not _repeat_is_due(firing, repeat_interval, now):
        return Plan(alerts=alerts)
    notices = []
    for webhook in webhooks:
        its = [*(firing if webhook in told else ()), *(alert for alert in resolved if webhook in alert.receivers)]
        if its and (changed or (rule, webhook) not in pending):
            notices.append(Notice(rule, webhook, tuple(its)))
    if told:
        for alert in firing:
            receivers = tuple(sorted({*alert.receivers, *told}))
            alerts[alert.fingerprint] = replace(alert, notified_at=now, receivers=receivers)
    return Plan(tuple(notices), alerts)


def _repeat_is_due(firing: Sequence[AlertRecord], repeat_interval: float, now: float) -> bool:
    return any(alert.notified_at is None or now - alert.notified_at >= repeat_interval for alert in firing)
