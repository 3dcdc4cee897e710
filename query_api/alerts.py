"""GET /alerts: which alerts there are, and who was told."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol

from fastapi import APIRouter

from query_api.parameters import Answer, Instant
from storage.state.alert_store import AlertRecord, Delivery

MAX_DELIVERIES = 100


class AlertReader(Protocol):
    """Where alerts are kept. Both raise a Fault when it does not answer."""

    async def alerts(self) -> Sequence[AlertRecord]:
        """Return every known alert."""
        ...

    async def deliveries(self, limit: int) -> Sequence[Delivery]:
        """Return the newest ``limit`` deliveries, newest first."""
        ...


class AlertRow(Answer):
    """One rule on one subject; ``value`` is null when nothing was measured."""

    rule: str
    fingerprint: str
    state: Literal["inactive", "pending", "firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str]
    value: float | None
    threshold: float
    active_since: Instant
    fired_at: Instant | None
    resolved_at: Instant | None
    updated_at: Instant


class DeliveryRow(Answer):
    """A notification to one webhook; ``webhook`` is its name, never its URL."""

    id: str
    rule: str
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    webhook: str
    last_error: str | None
    at: Instant


class Alerts(Answer):
    """The alerts and the newest deliveries, newest first."""

    alerts: list[AlertRow]
    deliveries: list[DeliveryRow]


def router(reader: AlertReader) -> APIRouter:
    """Return the routes of this resource."""
    routes = APIRouter()

    @routes.get("/alerts")
    async def alerts() -> Alerts:
        """List the alerts and what was sent about them."""
        known, sent = await reader.alerts(), await reader.deliveries(MAX_DELIVERIES)
        return Alerts(alerts=[_alert(alert) for alert in known], deliveries=[_delivery(delivery) for delivery in sent])

    return routes


def _alert(alert: AlertRecord) -> AlertRow:
    return AlertRow(
        rule=alert.rule,
        fingerprint=alert.fingerprint,
        state=alert.state.value,
        labels=dict(alert.labels),
        annotations=dict(alert.annotations),
        value=alert.value,
        threshold=alert.threshold,
        active_since=_at(alert.active_since),
        fired_at=None if alert.fired_at is None else _at(alert.fired_at),
        resolved_at=None if alert.resolved_at is None else _at(alert.resolved_at),
        updated_at=_at(alert.updated_at),
    )


def _delivery(delivery: Delivery) -> DeliveryRow:
    return DeliveryRow(
        id=delivery.id,
        rule=delivery.rule,
        status=delivery.status.value,
        attempts=delivery.attempts,
        webhook=delivery.webhook,
        last_error=delivery.last_error,
        at=_at(delivery.at),
    )


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
