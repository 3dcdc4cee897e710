"""The webhook body, exactly as Alertmanager sends it (version 4)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from storage.state.alert_store import AlertRecord, AlertState

_NOT_YET = "0001-01-01T00:00:00Z"  # Go's zero time: what Alertmanager says of an alert that still fires
MOST_ALERTS = 100  # in one notification; truncatedAlerts says how many more there are


def notification(rule: str, receiver: str, alerts: Sequence[AlertRecord], *, external_url: str) -> dict[str, Any]:
    """Return the body that tells ``receiver`` about the alerts of one rule: firing ones first, then resolved ones."""
    ordered = sorted(alerts, key=lambda alert: (alert.state is not AlertState.FIRING, alert.fingerprint))
    shown = ordered[:MOST_ALERTS]
    group = {"alertname": rule}
    return {
        "version": "4",
        "groupKey": f"{{}}:{{alertname={_quoted(rule)}}}",
        "truncatedAlerts": len(ordered) - len(shown),
        "status": _status(ordered[0]),
        "receiver": receiver,
        "groupLabels": group,
        "commonLabels": _common(alert.labels for alert in ordered),
        "commonAnnotations": _common(alert.annotations for alert in ordered),
        "externalURL": external_url,
        "alerts": [_alert(alert, external_url) for alert in shown],
    }


def encoded(body: Mapping[str, Any]) -> str:
    """Return the body as JSON text; it is kept and sent byte for byte, so that a signature holds for every attempt."""
    return msgspec.json.encode(body).decode()


def link(labels: Mapping[str, str], external_url: str) -> str:
    """Return the dashboard page that shows what the alert is about."""
    base = external_url.rstrip("/")
    if "service" in labels:
        return f"{base}/service?{urlencode({'service': labels['service']})}"
    return f"{base}/?{urlencode({name: labels[name] for name in ('source', 'destination') if name in labels})}"


def _alert(alert: AlertRecord, external_url: str) -> dict[str, Any]:
    return {
        "status": _status(alert),
        "labels": dict(sorted(alert.labels.items())),
        "annotations": dict(sorted(alert.annotations.items())),
        "startsAt": _time(alert.fired_at),
        "endsAt": _time(alert.resolved_at),
        "generatorURL": link(alert.labels, external_url),
        "fingerprint": alert.fingerprint,
    }


def _status(alert: AlertRecord) -> str:
    return "firing" if alert.state is AlertState.FIRING else "resolved"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return _NOT_YET
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _common(texts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    first, *others = [dict(text) for text in texts]
    return {name: value for name, value in sorted(first.items()) if all(other.get(name) == value for other in others)}


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
