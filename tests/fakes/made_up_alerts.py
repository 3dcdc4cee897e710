"""Made-up alerts, one in each state, and what became of their notifications."""

import hashlib
from typing import Any

from tests.fakes.made_up_spans import rfc


def alerts_of(service: str, now: float) -> list[dict[str, Any]]:
    """An alert in each state; ``service`` is the one that fires."""
    failing, calling = {"service": service, "severity": "critical"}, {"source": "payments", "destination": service}
    canary, quiet = {"service": "payments", "version": "v2"}, {"service": "gateway"}
    return [
        _alert("service_error_rate", "firing", failing, (0.082, 0.05), now, 700, "More than 5 % of requests fail"),
        _alert("circuit_open", "pending", calling, (1, 0), now, 20, "A circuit has been open for a while"),
        _alert("latency_p99_ms", "resolved", canary, (131.0, 150.0), now, 2400, "p99 above 150 ms"),
        _alert("traffic_absent", "inactive", quiet, (84.0, 1.0), now, 0, "No requests for five minutes"),
    ]


def deliveries_of(now: float) -> list[dict[str, Any]]:
    """A notification that arrived, one that is tried again, and one that was given up."""
    return [
        _delivery("msg_31", "service_error_rate", "delivered", 1, None, now - 665),
        _delivery("msg_30", "latency_p99_ms", "retrying", 3, "HTTP 502", now - 58),
        _delivery("msg_29", "latency_p99_ms", "failed", 8, "connect timeout", now - 2360),
    ]


def _alert(
    rule: str, state: str, labels: dict[str, str], measured: tuple[float, float], now: float, age: float, text: str
) -> dict[str, Any]:
    value, threshold = measured
    return {
        "rule": rule,
        "fingerprint": hashlib.sha1((rule + str(labels)).encode()).hexdigest()[:16],
        "state": state,
        "labels": labels,
        "annotations": {"summary": text},
        "value": value,
        "threshold": threshold,
        "active_since": None if state == "inactive" else rfc(now - age),
        "fired_at": rfc(now - age + 30) if state in ("firing", "resolved") else None,
        "resolved_at": rfc(now - 60) if state == "resolved" else None,
        "updated_at": rfc(now - 4),
    }


def _delivery(name: str, rule: str, status: str, attempts: int, error: str | None, at: float) -> dict[str, Any]:
    return {
        "id": name,
        "rule": rule,
        "status": status,
        "attempts": attempts,
        "webhook": "https://hooks.example.com/mesh",
        "last_error": error,
        "at": rfc(at),
    }
