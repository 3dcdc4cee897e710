"""The made-up circuit from payments to a failing ledger: its state, its history, and the events around it."""

from typing import Any

from tests.fakes.made_up_spans import rfc

CYCLE_S = 360
STEP_S = 2
_STORY: tuple[tuple[int, str, str, str, dict[str, float]], ...] = (
    (195, "outlier_detection", "ejected", "consecutive_5xx", {"failures": 5.0, "ejection_ms": 30000.0}),
    (200, "circuit_breaker", "opened", "consecutive_5xx", {"failures": 5.0, "limit": 5.0}),
    (214, "circuit_breaker", "overflow", "pending_overflow", {"limit": 64.0, "pending": 64.0}),
    (262, "circuit_breaker", "half_opened", "cooldown_elapsed", {}),
    (290, "circuit_breaker", "closed", "probe_succeeded", {}),
    (291, "outlier_detection", "unejected", "cooldown_elapsed", {"ejection_ms": 96000.0}),
)


def outage(moment: float) -> str:
    """The ledger's circuit as payments sees it: of every six minutes, one open and half a minute half-open."""
    phase = moment % CYCLE_S
    return "open" if 200 <= phase < 262 else "half_open" if 262 <= phase < 290 else "closed"


def intervals_of(since: float, now: float) -> list[dict[str, Any]]:
    """The circuit's states in a window, one after the other."""
    intervals: list[dict[str, Any]] = []
    moment = since
    while moment < now:
        state = outage(moment)
        if intervals and intervals[-1]["state"] == state:
            intervals[-1]["end"] = rfc(moment + STEP_S)
        else:
            intervals.append({"state": state, "start": rfc(moment), "end": rfc(moment + STEP_S)})
        moment += STEP_S
    return intervals


def events_of(since: float, now: float, destination: str) -> list[dict[str, Any]]:
    """The events of all cycles that a window touches, with their ``moment``."""
    events = []
    cycle = since // CYCLE_S * CYCLE_S
    while cycle < now:
        for offset, *told in (*_STORY, (40, "config", "accepted", "pushed", {"revision": cycle % 1000})):
            events.append(_event(cycle + offset, *told, destination))
        cycle += CYCLE_S
    return events


def _event(moment: float, kind: str, action: str, reason: str, numbers: dict[str, float], destination: str) -> dict[str, Any]:
    return {
        "ts": rfc(moment),
        "mesh": "fintech",
        "source": "payments",
        "target": "ledger-v1",
        "instance": "payments-7d9f",
        "destination": "" if kind == "config" else destination,
        "type": kind,
        "endpoint": "127.0.0.1:9303" if kind == "outlier_detection" else "",
        "action": action,
        "enforced": True,
        "reason": reason,
        "numbers": {f"mesh.event.{name}": number for name, number in numbers.items()},
        "trace_id": f"{int(moment / 3):032x}" if action in ("opened", "ejected", "overflow") else None,
        "moment": moment,
    }
