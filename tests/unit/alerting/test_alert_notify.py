import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from alerting.evaluator import Outcome
from alerting.notify.outbox import Backoff
from alerting.notify.payload import MOST_ALERTS, encoded, link, notification
from alerting.notify.plan import Plan, plan
from alerting.notify.webhook_httpx import Verdict, judged, signed
from alerting.rules import Webhook
from alerting.state import Change
from storage.state.alert_store import AlertRecord, AlertState

NOW = 1_800_000_000.0
FIRING = AlertRecord(
    rule='Errors "high"',
    fingerprint="0000000000000001",
    labels={"alertname": 'Errors "high"', "severity": "critical", "service": "payments"},
    state=AlertState.FIRING,
    value=0.25,
    threshold=0.05,
    active_since=NOW - 90,
    updated_at=NOW,
    annotations={"summary": "payments: 25% fail", "runbook": "https://wiki/errors"},
    fired_at=NOW - 60.5,
)
RESOLVED = replace(
    FIRING,
    fingerprint="0000000000000002",
    labels={**FIRING.labels, "service": "front end"},
    state=AlertState.RESOLVED,
    annotations={"summary": "front end: 6% fail", "runbook": "https://wiki/errors"},
    resolved_at=NOW,
    receivers=("ops",),
)
HOOK = Webhook(name="ops", url=SecretStr("https://hooks.example/x"))


def _plan(*outcomes: Outcome, told: tuple[str, ...] = ("ops",), pending: frozenset[tuple[str, str]] = frozenset()) -> Plan:
    return plan(FIRING.rule, outcomes, told=told, webhooks=("ops", "chat"), pending=pending, repeat_interval=3600.0, now=NOW)


def test_the_body_is_alertmanagers() -> None:
    golden = json.loads((Path(__file__).parents[2] / "data" / "alerting" / "alertmanager_v4.json").read_text())
    body = notification(FIRING.rule, "ops", [RESOLVED, FIRING], external_url="http://127.0.0.1:8080")
    assert json.loads(encoded(body)) == golden


def test_when_all_have_resolved_the_notification_has() -> None:
    body = notification(FIRING.rule, "ops", [RESOLVED], external_url="http://x")
    assert (body["status"], body["commonLabels"]) == ("resolved", RESOLVED.labels)


def test_a_notification_is_bounded_and_says_what_it_left_out() -> None:
    many = [replace(FIRING, fingerprint=f"{number:016x}") for number in range(MOST_ALERTS + 7)]
    body = notification(FIRING.rule, "ops", [RESOLVED, *many], external_url="http://x")
    assert (len(body["alerts"]), body["truncatedAlerts"]) == (MOST_ALERTS, 8)
    assert {alert["status"] for alert in body["alerts"]} == {"firing"}


def test_an_alert_links_to_its_page() -> None:
    assert link({"service": "front end"}, "http://x/") == "http://x/service?service=front+end"
    assert link({"source": "a", "destination": "b&c"}, "http://x") == "http://x/?source=a&destination=b%26c"


def test_a_notice_names_all_that_fire_and_what_has_just_resolved() -> None:
    fires_already = replace(FIRING, fingerprint="3", notified_at=NOW - 10, receivers=("ops",))
    made = _plan(Outcome(FIRING, Change.FIRED), Outcome(fires_already, Change.NONE), Outcome(RESOLVED, Change.RESOLVED))
    (notice,) = made.notices
    assert (notice.webhook, {alert.fingerprint for alert in notice.alerts}) == (
        "ops",
        {FIRING.fingerprint, "3", RESOLVED.fingerprint},
    )
    assert (made.alerts[FIRING.fingerprint].notified_at, made.alerts[FIRING.fingerprint].receivers) == (NOW, ("ops",))


def test_nothing_new_is_not_told_until_the_repeat_interval_is_over() -> None:
    told = replace(FIRING, notified_at=NOW - 3599, receivers=("ops",))
    assert _plan(Outcome(told, Change.NONE)).notices == ()
    due = replace(told, notified_at=NOW - 3600)
    assert [notice.webhook for notice in _plan(Outcome(due, Change.NONE)).notices] == ["ops"]
    assert _plan(Outcome(due, Change.NONE), pending=frozenset({(FIRING.rule, "ops")})).notices == ()


def test_a_resolution_goes_to_those_who_were_told_and_to_nobody_else() -> None:
    assert [notice.webhook for notice in _plan(Outcome(RESOLVED, Change.RESOLVED), told=("chat",)).notices] == ["ops"]
    never_told = replace(RESOLVED, receivers=())
    assert _plan(Outcome(never_told, Change.RESOLVED)).notices == ()


def test_nobody_to_tell_is_no_notice() -> None:
    made = _plan(Outcome(FIRING, Change.FIRED), told=())
    assert made.notices == ()
    assert made.alerts[FIRING.fingerprint].notified_at is None  # a webhook that is added later is told


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, Verdict.ACCEPTED), (204, Verdict.ACCEPTED), (301, Verdict.REFUSED), (400, Verdict.REFUSED), (404, Verdict.REFUSED),
     (429, Verdict.RETRY), (500, Verdict.RETRY), (503, Verdict.RETRY)],
)  # fmt: skip
def test_what_an_answer_means(status: int, verdict: Verdict) -> None:
    attempt = judged(status, None, NOW)
    assert attempt.verdict is verdict
    assert attempt.error == (None if verdict is Verdict.ACCEPTED else f"answered {status}")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0), ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0), ("soon", None), ("-1", None),
     (None, None)],
)  # fmt: skip
def test_a_webhook_may_say_when_to_try_again(header: str | None, seconds: float | None) -> None:
    assert judged(503, header, NOW).retry_after == seconds


def test_waits_double_up_to_a_bound_and_respect_the_webhook() -> None:
    backoff = Backoff(first=1.0, most=60.0)
    assert [backoff.delay(attempts) for attempts in (1, 2, 3, 6, 7, 8, 10_000)] == [1, 2, 4, 32, 60, 60, 60]
    assert backoff.delay(1, retry_after=30.0) == 30.0
    assert backoff.delay(7, retry_after=30.0) == 60.0
    assert backoff.delay(1, retry_after=1e9) == 3600.0


def test_a_signature_is_that_of_standard_webhooks() -> None:
    # the example of the specification's own libraries (standardwebhooks.com)
    secret = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', HOOK.model_copy(update={"secret": secret})
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert set(signed("msg_1", 1, b"", HOOK)) == {"webhook-id", "webhook-timestamp"}
