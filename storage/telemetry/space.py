"""Keeps the store within a budget of bytes: whole days go, the oldest first."""

import re
from dataclasses import dataclass

from storage.telemetry.engine import Engine
from storage.telemetry.questions import question

_NAME = re.compile(r"[a-z_0-9]+")


@dataclass(frozen=True, slots=True)
class DroppedDay:
    """A day that went, as YYYYMMDD, and the bytes that it took."""

    day: str
    bytes: int


def make_room(engine: Engine, *, budget_bytes: int, today: str) -> list[DroppedDay]:
    """Drop the oldest days until the rest fits into the budget, and return them; ``today`` and later days stay.

    A day goes from every table at once, so that no rollup speaks of spans that are gone for lack of room. The store may
    stay above its budget when today alone is larger. In a cluster the budget is each node's, for each has a disk of its own.
    """
    return [dropped for node in engine.nodes for dropped in _make_room(node, budget_bytes, today)]


def _make_room(engine: Engine, budget_bytes: int, today: str) -> list[DroppedDay]:
    days = engine.query(question("days"), {})
    excess = sum(day["bytes"] for day in days) - budget_bytes
    dropped: list[DroppedDay] = []
    for day in days:
        if excess <= 0 or day["day"] >= today:
            break
        for table in day["tables"]:
            # Names cannot be parameters here; they are the store's own, and are checked all the same.
            assert _NAME.fullmatch(table)
            engine.command(f"ALTER TABLE {table} DROP PARTITION ID {{day:String}}", {"day": day["day"]})
        excess -= day["bytes"]
        dropped.append(DroppedDay(day["day"], day["bytes"]))
    return dropped
