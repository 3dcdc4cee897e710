"""Alerting from samples to webhooks: a real SQLite file and a real HTTP receiver; the clock stands still unless moved."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from alerting.measure import Answers
from alerting.notify.outbox import Backoff
from alerting.rules import RuleBook, parse_rules
from alerting.service import Alerting
from core.clock import Clock, SystemClock
from storage.state.alert_store import AlertRecord, AlertState, AlertStore, Delivery, DeliveryStatus
from storage.state.database import StateUnavailable, open_database
from storage.state.migrate import migrate
from storage.telemetry.engine import Engine, StoreUnavailable
from tests.fakes.manual_clock import ManualClock
from tests.fakes.measured import Measured
from tests.fakes.spans import SERVER, Span, request
from tests.fakes.webhook_receiver import Receiver, receiving

RULES = """
[[webhooks]]
name = "ops"
url = "{url}"

[[rules]]
name = "Errors"
metric = "error_rate"
service = "{service}"
threshold = 0.05
for = "{hold}"
annotations.summary = "{{{{ labels.service }}}}: {{{{ value | percent }}}}"
"""
BAD, GOOD = {"error_rate": 0.25}, {"error_rate": 0.0}


def _rules(receiver: Receiver, *, service: str = "*", hold: str = "0s") -> RuleBook:
    return parse_rules(RULES.format(url=receiver.url, service=service, hold=hold))


@dataclass(slots=True)
class House:
    """Starts alerting on one database file, again and again."""

    url: str
    stack: AsyncExitStack
    measured: Measured
    clock: Clock

    async def start(
        self, rules: RuleBook, *, clock: Clock | None = None, backoff: Backoff | None = None, engine: Answers | None = None
    ) -> Alerting:
        await migrate(self.url)
        client = await self.stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        return Alerting(
            engine or self.measured,
            await self.store(),
            rules,
            client,
            clock or self.clock,
            interval=0.05,
            external_url="http://dash",
            backoff=backoff,
        )

    async def store(self) -> AlertStore:
        engine = open_database(self.url)
        self.stack.push_async_callback(engine.dispose)
        return AlertStore(engine)

    async def alert(self) -> AlertRecord:
        (alert,) = await (await self.store()).alerts()
        return alert

    async def deliveries(self) -> list[Delivery]:
        return list(reversed(await (await self.store()).deliveries()))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        yield House(f"sqlite+aiosqlite:///{tmp_path / 'state.db'}", stack, Measured(payments=BAD), ManualClock())


@pytest.fixture
def clock(house: House) -> ManualClock:
    assert isinstance(house.clock, ManualClock)
    return house.clock


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@asynccontextmanager
async def running(alerting: Alerting) -> AsyncIterator[None]:
    task = asyncio.create_task(alerting.run())
    try:
        yield
    finally:
        await alerting.stop()
        await task


async def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def _bodies(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in receiver.accepted]


def _bytes_of(folder: Path) -> str:
    return "".join(file.read_bytes().decode("latin-1") for file in folder.glob("state.db*"))


async def test_a_rule_fires_after_its_hold_is_told_once_and_resolves(
    house: House, clock: ManualClock, receiver: Receiver
) -> None:
    alerting = await house.start(_rules(receiver, hold="30s"))
    states = []
    for value, seconds in ((GOOD, 5), (BAD, 25), (BAD, 5), (BAD, 5), (GOOD, 5), (GOOD, 900), (GOOD, 5)):
        house.measured.services["payments"] = value
        await alerting.evaluate()
        await alerting.deliver()
        states.append((await house.alert()).state)
        clock.move(seconds)
    assert states == ["inactive", "pending", "pending", "firing", "resolved", "resolved", "inactive"]
    firing, resolved = _bodies(receiver)
    assert (firing["status"], resolved["status"]) == ("firing", "resolved")
    (alert,) = firing["alerts"]
    assert alert["labels"] == {"alertname": "Errors", "service": "payments", "severity": "warning"}
    assert alert["annotations"] == {"summary": "payments: 25%"}
    assert alert["generatorURL"] == "http://dash/service?service=payments"
    assert resolved["alerts"][0]["startsAt"] == alert["startsAt"]
    assert resolved["alerts"][0]["endsAt"] > alert["startsAt"]
    assert resolved["alerts"][0]["fingerprint"] == alert["fingerprint"]


async def test_nothing_to_measure_resolves(house: House, clock: ManualClock, receiver: Receiver) -> None:
    alerting = await house.start(_rules(receiver))
    await alerting.evaluate()
    del house.measured.services["payments"]
    clock.move(5)
    await alerting.evaluate()
    alert = await house.alert()
    assert (alert.state, alert.value, alert.annotations) == (AlertState.RESOLVED, None, {"summary": "payments: 25%"})


async def test_a_question_that_fails_changes_nothing(house: House, clock: ManualClock, receiver: Receiver) -> None:
    alerting = await house.start(_rules(receiver))
    await alerting.evaluate()
    before = await house.alert()
    house.measured.broken = StoreUnavailable("gone")
    clock.move(5)
    await alerting.evaluate()
    assert await house.alert() == before
    assert alerting.counts["rule_failures.store_unavailable"] == 1
    assert "failing=['rule Errors']" in repr(alerting)
    house.measured.broken = None
    await alerting.evaluate()
    assert "failing=[]" in repr(alerting)


async def test_each_service_of_a_star_rule_is_an_alert_and_all_are_told_together(
    house: House, clock: ManualClock, receiver: Receiver
) -> None:
    house.measured.services = {"a": BAD, "b": BAD, "c": GOOD}
    alerting = await house.start(_rules(receiver))
    await alerting.evaluate()
    await alerting.deliver()
    house.measured.services["a"] = GOOD
    del house.measured.services["c"]
    clock.move(5)
    await alerting.evaluate()
    await alerting.deliver()
    first, second = _bodies(receiver)
    assert {alert["labels"]["service"] for alert in first["alerts"]} == {"a", "b"}
    assert [(alert["labels"]["service"], alert["status"]) for alert in second["alerts"]] == [("b", "firing"), ("a", "resolved")]
    known = {alert.labels["service"]: alert.state for alert in await (await house.store()).alerts()}
    assert known == {"a": AlertState.RESOLVED, "b": AlertState.FIRING}  # c was never active: it is forgotten


async def test_a_restart_keeps_pending(house: House, clock: ManualClock, receiver: Receiver) -> None:
    rules = _rules(receiver, hold="30s")
    alerting = await house.start(rules)
    await alerting.evaluate()
    clock.move(20)
    await alerting.evaluate()
    clock.move(600)  # nobody looks for ten minutes: that does not count
    again = await house.start(rules)
    await again.evaluate()
    assert (await house.alert()).state is AlertState.PENDING
    clock.move(10)
    await again.evaluate()
    assert (await house.alert()).state is AlertState.FIRING


async def test_a_restart_keeps_firing_and_does_not_tell_again(house: House, clock: ManualClock, receiver: Receiver) -> None:
    rules = _rules(receiver)
    alerting = await house.start(rules)
    await alerting.evaluate()
    await alerting.deliver()
    fired_at = clock.now()
    clock.move(60)
    again = await house.start(rules)
    await again.evaluate()
    await again.deliver()
    alert = await house.alert()
    assert (alert.state, alert.fired_at, len(receiver.received)) == (AlertState.FIRING, fired_at, 1)
    clock.move(4 * 3600)
    await again.evaluate()
    await again.deliver()
    assert [body["status"] for body in _bodies(receiver)] == ["firing", "firing"]  # repeat_interval


async def test_a_delivery_that_was_pending_at_a_crash_is_sent_after_the_restart(house: House, receiver: Receiver) -> None:
    rules = _rules(receiver)
    await (await house.start(rules)).evaluate()  # and then the process is gone, before it sent anything
    (pending,) = await house.deliveries()
    again = await house.start(rules)
    await again.evaluate()
    await again.deliver()
    (request,) = receiver.received
    assert request.headers["webhook-id"] == pending.id
    assert [delivery.status for delivery in await house.deliveries()] == [DeliveryStatus.DELIVERED]


async def test_a_webhook_that_fails_twice_gets_one_accepted_delivery(house: House, receiver: Receiver) -> None:
    receiver.statuses = [503, 500]
    alerting = await house.start(_rules(receiver), clock=SystemClock(), backoff=Backoff(first=0.02))
    async with running(alerting):
        await _until(lambda: alerting.counts["deliveries.delivered"] == 1)
        rounds = alerting.counts["evaluations"]
        await _until(lambda: alerting.counts["evaluations"] >= rounds + 3)
    assert [request.answered for request in receiver.received] == [503, 500, 200]
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert len({request.body for request in receiver.received}) == 1
    (delivery,) = await house.deliveries()
    assert (delivery.status, delivery.attempts, delivery.last_error) == (DeliveryStatus.DELIVERED, 3, None)
    assert alerting.counts["deliveries.retried"] == 2


async def test_a_refused_delivery_has_failed_for_good(house: House, clock: ManualClock, receiver: Receiver) -> None:
    receiver.statuses = [400]
    alerting = await house.start(_rules(receiver))
    for _ in range(3):
        await alerting.evaluate()
        await alerting.deliver()
        clock.move(600)
    assert len(receiver.received) == 1
    (delivery,) = await house.deliveries()
    assert (delivery.status, delivery.attempts, delivery.last_error) == (DeliveryStatus.FAILED, 1, "answered 400")
    assert alerting.counts["deliveries.failed"] == 1


async def test_retry_after_is_respected_and_the_order_is_kept(house: House, clock: ManualClock, receiver: Receiver) -> None:
    receiver.statuses, receiver.answer_headers = [429], {"retry-after": "120"}
    alerting = await house.start(_rules(receiver))
    await alerting.evaluate()
    await alerting.deliver()
    house.measured.services["payments"] = GOOD
    clock.move(60)
    await alerting.evaluate()  # the resolution waits behind the firing
    await alerting.deliver()
    assert len(receiver.received) == 1
    clock.move(60)
    await alerting.deliver()
    await alerting.deliver()
    assert [body["status"] for body in _bodies(receiver)] == ["firing", "resolved"]


async def test_nobody_listening_is_retried_and_given_up_after_a_day(house: House, clock: ManualClock, receiver: Receiver) -> None:
    rules = parse_rules(RULES.format(url="http://127.0.0.1:9/T0P-s3cret", service="*", hold="0s"))
    alerting = await house.start(rules)
    await alerting.evaluate()
    await alerting.deliver()
    (delivery,) = await house.deliveries()
    assert (delivery.status, delivery.last_error) == (DeliveryStatus.PENDING, "no answer: ConnectError")
    clock.move(24 * 3600)
    await alerting.deliver()
    assert [delivery.status for delivery in await house.deliveries()] == [DeliveryStatus.FAILED]


async def test_a_removed_rule_resolves_for_those_who_were_told(house: House, clock: ManualClock, receiver: Receiver) -> None:
    rules = _rules(receiver)
    alerting = await house.start(rules)
    await alerting.evaluate()
    await alerting.deliver()
    clock.move(5)
    again = await house.start(rules.model_copy(update={"rules": ()}))
    await again.evaluate()
    await again.deliver()
    assert [body["status"] for body in _bodies(receiver)] == ["firing", "resolved"]


async def test_what_waits_for_a_removed_webhook_fails(house: House, receiver: Receiver) -> None:
    rules = _rules(receiver)
    await (await house.start(rules)).evaluate()
    again = await house.start(rules.model_copy(update={"webhooks": ()}))
    await again.evaluate()
    (delivery,) = await house.deliveries()
    assert (delivery.status, delivery.last_error) == (DeliveryStatus.FAILED, "this webhook is no longer in the rule file")


async def test_a_named_service_is_shown_before_anything_happens(house: House, receiver: Receiver) -> None:
    house.measured.services = {}
    await (await house.start(_rules(receiver, service="payments"))).evaluate()
    alert = await house.alert()
    assert (alert.state, alert.value, alert.threshold) == (AlertState.INACTIVE, None, 0.05)


async def test_rules_on_one_subject_and_window_share_a_question(house: House, receiver: Receiver) -> None:
    (one,) = _rules(receiver).rules
    rules = _rules(receiver).model_copy(update={"rules": (one, one.model_copy(update={"name": "Other"}))})
    await (await house.start(rules)).evaluate()
    assert house.measured.asked == 1


async def test_a_state_database_that_fails_is_survived_and_nothing_is_told_twice(
    house: House, receiver: Receiver, tmp_path: Path
) -> None:
    rules = _rules(receiver)
    alerting = await house.start(rules, clock=SystemClock())
    (tmp_path / "state.db").rename(tmp_path / "away.db")
    (tmp_path / "state.db").mkdir()
    async with running(alerting):
        await _until(lambda: alerting.counts["evaluation_failures.state_unavailable"] >= 2)
        (tmp_path / "state.db").rmdir()
        (tmp_path / "away.db").rename(tmp_path / "state.db")
        await _until(lambda: alerting.counts["deliveries.delivered"] == 1)
        await _until(lambda: alerting.counts["evaluations"] >= 3)
    assert len(receiver.received) == 1


async def test_a_store_that_fails_in_the_middle_of_a_round_leaves_the_alert_to_be_told_later(
    house: House, receiver: Receiver
) -> None:
    alerting = await house.start(_rules(receiver))
    house.measured.services["payments"] = GOOD
    await alerting.evaluate()
    house.measured.services["payments"] = BAD
    engine = open_database(house.url)
    async with engine.connect() as connection:
        await connection.exec_driver_sql("ALTER TABLE deliveries RENAME TO elsewhere")
        await connection.commit()
        with pytest.raises(StateUnavailable):
            await alerting.evaluate()
        await connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO deliveries")
        await connection.commit()
    await engine.dispose()
    assert (await house.alert()).state is AlertState.INACTIVE
    await alerting.evaluate()
    await alerting.deliver()
    assert [body["status"] for body in _bodies(receiver)] == ["firing"]


async def test_an_accepted_delivery_that_could_not_be_noted_is_noted_later_and_not_sent_again(
    house: House, receiver: Receiver
) -> None:
    alerting = await house.start(_rules(receiver))
    await alerting.evaluate()
    receiver.hold = True
    sending = asyncio.create_task(alerting.deliver())
    await _until(lambda: receiver.arrived == 1)
    engine = open_database(house.url)
    async with engine.connect() as connection:
        await connection.exec_driver_sql("ALTER TABLE deliveries RENAME TO elsewhere")
        await connection.commit()
        receiver.let_go.set()
        with pytest.raises(StateUnavailable):
            await sending
        await connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO deliveries")
        await connection.commit()
    await engine.dispose()
    await alerting.deliver()
    assert [delivery.status for delivery in await house.deliveries()] == [DeliveryStatus.DELIVERED]
    assert receiver.arrived == 1


async def test_spans_of_failing_requests_reach_a_webhook(house: House, receiver: Receiver, engine: Engine) -> None:
    spans = [Span("payments", SERVER, at=time.time() - 1, error=number < 3) for number in range(10)]
    engine.insert("traces", [request(spans)], token="alerting-end-to-end")
    alerting = await house.start(_rules(receiver), clock=SystemClock(), engine=engine)
    async with running(alerting):
        await _until(lambda: alerting.counts["deliveries.delivered"] == 1)
    (body,) = _bodies(receiver)
    assert [alert["annotations"] for alert in body["alerts"]] == [{"summary": "payments: 30%"}]


async def test_a_hanging_webhook_stops_neither_rules_nor_the_end(house: House, receiver: Receiver) -> None:
    receiver.hold = True
    rules = _rules(receiver)
    alerting = await house.start(rules, clock=SystemClock())
    began = time.monotonic()
    async with running(alerting):
        await _until(lambda: alerting.counts["evaluations"] >= 5)
        assert "running" in repr(alerting)
    assert time.monotonic() - began < 5
    assert "stopped" in repr(alerting)
    assert [delivery.status for delivery in await house.deliveries()] == [DeliveryStatus.PENDING]
    receiver.let_go.set()
    receiver.hold = False


async def test_the_webhooks_url_is_in_no_log_and_not_in_the_database(
    house: House, receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.statuses = [503, 404]
    alerting = await house.start(_rules(receiver))
    assert isinstance(house.clock, ManualClock)
    await alerting.evaluate()
    await alerting.deliver()
    house.clock.move(5)
    await alerting.deliver()
    assert len(receiver.received) == 2
    assert "HTTP Request: POST (webhook URL hidden)" in caplog.text
    everything = caplog.text + repr(alerting) + _bytes_of(tmp_path)
    for secret in ("T0P-s3cret", "sw0rdfish"):
        assert secret not in everything
