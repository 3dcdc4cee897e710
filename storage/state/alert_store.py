"""Alert states and deliveries, as the rest of the program sees them."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.state.database import answering
from storage.state.schema import alerts as alert_table
from storage.state.schema import deliveries as delivery_table


class AlertState(StrEnum):
    """Where an alert stands."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class DeliveryStatus(StrEnum):
    """Where a notification to one webhook stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """One rule on one subject, as last seen; times are seconds since the Unix epoch.

    ``active_since``: when the condition began to hold (inactive: when it was first seen not to). ``value`` is None when nothing
    was measured. ``receivers``: the webhooks that were told it fires; ``notified_at``: when they were last told.
    """

    rule: str
    fingerprint: str
    labels: Mapping[str, str]
    state: AlertState
    value: float | None
    threshold: float
    active_since: float
    updated_at: float
    annotations: Mapping[str, str] = field(default_factory=dict)
    fired_at: float | None = None
    resolved_at: float | None = None
    notified_at: float | None = None
    receivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A notification that is to be sent to one webhook; ``id`` stays the same over all attempts."""

    id: str
    rule: str
    fingerprints: tuple[str, ...]
    webhook: str
    payload: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification to one webhook and what became of it; ``at`` is when this last changed. Never holds the webhook's URL."""

    id: str
    rule: str
    fingerprints: tuple[str, ...]
    webhook: str
    payload: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: float
    last_error: str | None
    created_at: float
    at: float


class AlertStore:
    """Keeps alert states and the outbox of notifications in the state database.

    Durable: what ``record`` returned from survives a crash. Every method raises StateUnavailable when the database does not
    answer.
    """

    def __init__(self, engine: AsyncEngine, *, history: int = 1000, outbox: int = 1000) -> None:
        """Keep the newest ``history`` finished deliveries and at most ``outbox`` pending ones; the engine stays the caller's."""
        self._engine = engine
        self._history = history
        self._outbox = outbox

    def __repr__(self) -> str:
        url = self._engine.url.render_as_string(hide_password=True)
        return f"AlertStore({url!r}, history={self._history}, outbox={self._outbox})"

    async def alerts(self) -> list[AlertRecord]:
        """Return every known alert, by rule and fingerprint."""
        query = select(alert_table).order_by(alert_table.c.rule, alert_table.c.fingerprint)
        with answering():
            async with self._engine.connect() as connection:
                return [_alert(row) for row in (await connection.execute(query)).mappings()]

    async def deliveries(self, limit: int = 100) -> list[Delivery]:
        """Return the newest ``limit`` deliveries, newest first."""
        query = select(delivery_table).order_by(delivery_table.c.seq.desc()).limit(limit)
        with answering():
            async with self._engine.connect() as connection:
                return [_delivery(row) for row in (await connection.execute(query)).mappings()]

    async def record(
        self,
        alerts: Iterable[AlertRecord] = (),
        *,
        forget: Iterable[tuple[str, str]] = (),
        deliveries: Iterable[NewDelivery] = (),
    ) -> int:
        """Write alert states, drop the ``forget`` (rule, fingerprint) ones and queue deliveries: all or nothing.

        Returns how many of the oldest pending deliveries were given up because the outbox was full.
        """
        kept = [{**asdict(alert), "receivers": list(alert.receivers)} for alert in alerts]
        gone = [{"a_rule": row["rule"], "a_fingerprint": row["fingerprint"]} for row in kept]
        gone += [{"a_rule": rule, "a_fingerprint": fingerprint} for rule, fingerprint in forget]
        queued = [_new_row(delivery) for delivery in deliveries]
        if not (gone or queued):
            return 0
        with answering():
            async with self._engine.begin() as connection:
                return await connection.run_sync(self._record, kept, gone, queued)

    def _record(
        self, connection: Connection, kept: list[dict[str, Any]], gone: list[dict[str, Any]], queued: list[dict[str, Any]]
    ) -> int:
        if gone:
            mine = and_(alert_table.c.rule == bindparam("a_rule"), alert_table.c.fingerprint == bindparam("a_fingerprint"))
            connection.execute(delete(alert_table).where(mine), gone)
        if kept:
            connection.execute(insert(alert_table), kept)
        if not queued:
            return 0
        connection.execute(insert(delivery_table), queued)
        return self._bound(connection, now=max(row["at"] for row in queued))

    def _bound(self, connection: Connection, now: float) -> int:
        pending = delivery_table.c.status == DeliveryStatus.PENDING
        too_old = _newest_but(pending, self._outbox)
        given_up = connection.execute(
            update(delivery_table)
            .where(pending, delivery_table.c.seq <= too_old)
            .values(status=DeliveryStatus.FAILED, last_error="given up: the outbox was full", at=now)
        )
        finished = delivery_table.c.status != DeliveryStatus.PENDING
        connection.execute(delete(delivery_table).where(finished, delivery_table.c.seq <= _newest_but(finished, self._history)))
        return given_up.rowcount

    async def due(self, webhook: str, now: float) -> list[Delivery]:
        """Return what is to be sent to ``webhook`` by now, oldest first.

        Of each rule only the oldest pending delivery is named, so the order is kept.
        """
        heads = _heads(webhook)
        query = (
            select(delivery_table)
            .where(delivery_table.c.seq.in_(heads), delivery_table.c.next_attempt_at <= now)
            .order_by(delivery_table.c.seq)
        )
        with answering():
            async with self._engine.connect() as connection:
                return [_delivery(row) for row in (await connection.execute(query)).mappings()]

    async def next_due(self, webhook: str) -> float | None:
        """Return when the next delivery to ``webhook`` is due, None when nothing is pending."""
        query = select(func.min(delivery_table.c.next_attempt_at)).where(delivery_table.c.seq.in_(_heads(webhook)))
        with answering():
            async with self._engine.connect() as connection:
                found: float | None = await connection.scalar(query)
                return found

    async def pending(self) -> set[tuple[str, str]]:
        """Return the (rule, webhook) pairs that have something pending."""
        query = select(delivery_table.c.rule, delivery_table.c.webhook).where(delivery_table.c.status == DeliveryStatus.PENDING)
        with answering():
            async with self._engine.connect() as connection:
                return {(rule, webhook) for rule, webhook in (await connection.execute(query.distinct()))}

    async def delivered(self, delivery_id: str, now: float) -> None:
        """Note that the webhook accepted the delivery."""
        await self._attempted(delivery_id, status=DeliveryStatus.DELIVERED, last_error=None, at=now)

    async def retry(self, delivery_id: str, now: float, *, next_attempt_at: float, error: str) -> None:
        """Note a failed attempt and when the next one is due."""
        await self._attempted(
            delivery_id, status=DeliveryStatus.PENDING, last_error=error, at=now, next_attempt_at=next_attempt_at
        )

    async def failed(self, delivery_id: str, now: float, *, error: str) -> None:
        """Note that the delivery failed for good."""
        await self._attempted(delivery_id, status=DeliveryStatus.FAILED, last_error=error, at=now)

    async def _attempted(self, delivery_id: str, **values: Any) -> None:
        statement = update(delivery_table).where(delivery_table.c.id == delivery_id)
        with answering():
            async with self._engine.begin() as connection:
                await connection.execute(statement.values(attempts=delivery_table.c.attempts + 1, **values))

    async def abandon(self, now: float, *, webhooks: Iterable[str], error: str) -> int:
        """Fail for good what is pending for a webhook that is not one of ``webhooks``; returns how many."""
        statement = (
            update(delivery_table)
            .where(delivery_table.c.status == DeliveryStatus.PENDING, delivery_table.c.webhook.not_in(list(webhooks)))
            .values(status=DeliveryStatus.FAILED, last_error=error, at=now)
        )
        with answering():
            async with self._engine.begin() as connection:
                return (await connection.execute(statement)).rowcount


def _heads(webhook: str) -> Any:
    """The sequence numbers of each rule's oldest pending delivery to ``webhook``."""
    return (
        select(func.min(delivery_table.c.seq))
        .where(delivery_table.c.status == DeliveryStatus.PENDING, delivery_table.c.webhook == webhook)
        .group_by(delivery_table.c.rule)
    )


def _newest_but(condition: Any, count: int) -> Any:
    """The sequence number of the newest row that is not one of the newest ``count`` (NULL when there are no more)."""
    return (
        select(delivery_table.c.seq)
        .where(condition)
        .order_by(delivery_table.c.seq.desc())
        .offset(count)
        .limit(1)
        .scalar_subquery()
    )


def _new_row(delivery: NewDelivery) -> dict[str, Any]:
    return {
        **asdict(delivery),
        "fingerprints": list(delivery.fingerprints),
        "status": DeliveryStatus.PENDING,
        "attempts": 0,
        "next_attempt_at": delivery.created_at,
        "at": delivery.created_at,
    }


def _alert(row: RowMapping) -> AlertRecord:
    return AlertRecord(**{**row, "state": AlertState(row["state"]), "receivers": tuple(row["receivers"])})


def _delivery(row: RowMapping) -> Delivery:
    values = {name: value for name, value in row.items() if name != "seq"}
    return Delivery(**{**values, "status": DeliveryStatus(row["status"]), "fingerprints": tuple(row["fingerprints"])})
