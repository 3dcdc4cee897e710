"""Mesh events in words: how an action is called, how urgent it is, and what its numbers say."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dashboard import links
from dashboard.answers import MeshEvent
from dashboard.components import units

ACTIONS: Mapping[str, tuple[str, str]] = {
    "opened": ("Circuit opened", "bad"),
    "half_opened": ("Circuit half-open", "warn"),
    "closed": ("Circuit closed", "ok"),
    "overflow": ("Overflow", "warn"),
    "ejected": ("Endpoint ejected", "bad"),
    "unejected": ("Endpoint back", "ok"),
    "unhealthy": ("Endpoint unhealthy", "bad"),
    "healthy": ("Endpoint healthy", "ok"),
    "panic_began": ("Panic: all endpoints called", "bad"),
    "panic_ended": ("Panic over", "ok"),
    "accepted": ("Config accepted", "ok"),
    "rejected": ("Config rejected", "bad"),
}
PREFIX = "mesh.event."


def words(action: str) -> tuple[str, str]:
    """Return how an action is called, and its tone."""
    return ACTIONS.get(action, (action.replace("_", " ").capitalize(), "idle"))


def way(event: MeshEvent) -> str:
    """Return whom an event is about."""
    return f"{event.source} → {event.destination}" if event.destination else event.source


def numbers(event: MeshEvent) -> str:
    """Return the numbers of an event with their names; those in ms in the unit that suits them."""
    told = []
    for key, value in sorted(event.numbers.items()):
        name = key.removeprefix(PREFIX)
        if name.endswith("_ms"):
            told.append(f"{name.removesuffix('_ms').replace('_', ' ')} {units.duration(value)}")
        else:
            told.append(f"{name.replace('_', ' ')} {units.plain(value)}")
    return ", ".join(told)


def row(event: MeshEvent, place: int, now: datetime) -> dict[str, Any]:
    """Return an event as a row of a grid."""
    word, tone = words(event.action)
    return {
        "key": f"{event.ts.timestamp()}|{event.instance}|{event.action}|{event.endpoint}|{event.target}|{place}",
        "when": f"{units.clock(event.ts)}  ·  {units.ago(event.ts, now)}",
        "at": event.ts.timestamp(),
        "event": word if event.enforced else f"{word} (not enforced)",
        "tone": tone,
        "way": way(event),
        "endpoint": event.endpoint or event.target,
        "reason": event.reason.replace("_", " "),
        "numbers": numbers(event),
        "trace": event.trace_id or "",
        "href": links.href("/trace", id=event.trace_id) if event.trace_id else "",
    }
