import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from storage.state.alert_store import AlertRecord, AlertState, AlertStore, DeliveryStatus, NewDelivery
from storage.state.database import StateUnavailable, StateUrlInvalid, open_database
from storage.state.migrate import migrate
from storage.state.schema import metadata

ALERT = AlertRecord(
    rule="PaymentsErrors",
    fingerprint="00c0ffee00c0ffee",
    labels={"alertname": "PaymentsErrors", "service": "payments"},
    state=AlertState.FIRING,
    value=0.25,
    threshold=0.05,
    active_since=100.0,
    updated_at=130.5,
    annotations={"summary": "25 % fail"},
    fired_at=130.0,
    notified_at=130.0,
    receivers=("ops",),
)


def _delivery(number: int, *, rule: str = "PaymentsErrors", webhook: str = "ops", at: float | None = None) -> NewDelivery:
    return NewDelivery(
        f"msg_{number}", rule, ("00c0ffee00c0ffee",), webhook, '{"version":"4"}', float(number) if at is None else at
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[AlertStore]:
    await migrate(url)
    engine = open_database(url)
    yield AlertStore(engine, history=5, outbox=4)
    await engine.dispose()


async def test_migrations_give_exactly_the_tables_of_the_schema_and_may_run_again(url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    await migrate(url)
    await migrate(url)
    engine = open_database(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_what_was_recorded_is_read_back_by_a_second_process(store: AlertStore, url: str) -> None:
    await store.record([ALERT], deliveries=[_delivery(1)])
    second = open_database(url)
    try:
        again = AlertStore(second)
        assert await again.alerts() == [ALERT]
        (delivery,) = await again.deliveries()
        assert (delivery.id, delivery.status, delivery.attempts, delivery.at) == ("msg_1", DeliveryStatus.PENDING, 0, 1.0)
        assert delivery.fingerprints == (ALERT.fingerprint,)
    finally:
        await second.dispose()


async def test_an_alert_is_replaced_or_forgotten(store: AlertStore) -> None:
    await store.record([ALERT])
    changed = replace(ALERT, state=AlertState.RESOLVED, resolved_at=200.0, value=None)
    await store.record([changed])
    assert await store.alerts() == [changed]
    await store.record(forget=[(ALERT.rule, ALERT.fingerprint)])
    assert await store.alerts() == []


async def test_state_and_delivery_are_written_together_or_not_at_all(store: AlertStore) -> None:
    await store.record(deliveries=[_delivery(1)])
    with pytest.raises(StateUnavailable):
        await store.record([ALERT], deliveries=[_delivery(1)])  # the id exists already
    assert await store.alerts() == []


async def test_only_the_oldest_delivery_of_a_rule_is_due(store: AlertStore) -> None:
    await store.record(deliveries=[_delivery(1), _delivery(2), _delivery(3, rule="Other"), _delivery(4, webhook="chat")])
    assert [delivery.id for delivery in await store.due("ops", now=10.0)] == ["msg_1", "msg_3"]
    await store.retry("msg_1", 10.0, next_attempt_at=20.0, error="answered 503")
    assert [delivery.id for delivery in await store.due("ops", now=10.0)] == ["msg_3"]
    assert await store.next_due("ops") == 3.0
    await store.delivered("msg_3", 11.0)
    assert await store.next_due("ops") == 20.0
    assert await store.pending() == {("PaymentsErrors", "ops"), ("PaymentsErrors", "chat")}
    await store.failed("msg_1", 21.0, error="answered 400")
    assert [delivery.id for delivery in await store.due("ops", now=22.0)] == ["msg_2"]
    by_id = {delivery.id: delivery for delivery in await store.deliveries()}
    assert (by_id["msg_1"].status, by_id["msg_1"].attempts, by_id["msg_1"].last_error) == (
        DeliveryStatus.FAILED,
        2,
        "answered 400",
    )
    assert (by_id["msg_3"].status, by_id["msg_3"].attempts, by_id["msg_3"].at) == (DeliveryStatus.DELIVERED, 1, 11.0)
    assert await store.next_due("nobody") is None


async def test_finished_deliveries_are_bounded_and_pending_ones_are_not_forgotten(store: AlertStore) -> None:
    await store.record(deliveries=[_delivery(0, webhook="slow")])
    for number in range(1, 10):
        await store.record(deliveries=[_delivery(number)])
        await store.delivered(f"msg_{number}", float(number))
    await store.record(deliveries=[_delivery(10)])
    ids = [delivery.id for delivery in await store.deliveries()]
    assert ids == ["msg_10", "msg_9", "msg_8", "msg_7", "msg_6", "msg_5", "msg_0"]


async def test_a_full_outbox_gives_up_the_oldest_and_says_how_many(store: AlertStore) -> None:
    assert await store.record(deliveries=[_delivery(number) for number in range(4)]) == 0
    assert await store.record(deliveries=[_delivery(4), _delivery(5)]) == 2
    given_up = [delivery for delivery in await store.deliveries() if delivery.status is DeliveryStatus.FAILED]
    assert {delivery.id for delivery in given_up} == {"msg_0", "msg_1"}
    assert {delivery.last_error for delivery in given_up} == {"given up: the outbox was full"}


async def test_what_waits_for_a_webhook_that_is_gone_fails(store: AlertStore) -> None:
    await store.record(deliveries=[_delivery(1), _delivery(2, webhook="old")])
    assert await store.abandon(5.0, webhooks=["ops"], error="no such webhook") == 1
    assert await store.pending() == {("PaymentsErrors", "ops")}


async def test_a_database_that_cannot_be_opened_is_a_retryable_fault(tmp_path: Path) -> None:
    engine = open_database(f"sqlite+aiosqlite:///{tmp_path / 'missing' / 'state.db'}")
    with pytest.raises(StateUnavailable, match="unable to open database file"):
        await AlertStore(engine).alerts()
    await engine.dispose()
    for thread in threading.enumerate():  # aiosqlite does not wait for the thread of a connection that never was
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, 5)


@pytest.mark.parametrize("url", ["nonsense", "nosuchdb://user:hunter2@host/name"])
def test_a_bad_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(StateUrlInvalid) as caught:
        open_database(url)
    assert "hunter2" not in str(caught.value)
