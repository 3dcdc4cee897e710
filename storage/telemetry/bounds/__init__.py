"""Bounds what one service or one trace can make of the store, and notes which attributes there are.

Nothing of this is asked while telemetry is inserted but whether a name or a trace is in a set: which ones are, is found by looks
at what was written since the look before. So a bound is passed by what arrives between two looks, and never by more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from storage.telemetry.engine import Engine

LARGEST = 4_000_000
"""How many rows a part may have to be looked at."""

REACH_S = 2
"""How far a look reaches back before the one before: the store tells the time of a part in seconds."""

NAMES = 1000
"""How many names of attributes a service has a place for on one day: of its spans, and of its resources."""

LOOKED_AT = 16_384
"""How many spans a look for attributes looks at; of each part those at its beginning, but not less than ``LEAST``."""

LEAST = 256


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many operations a service may have a day, and how many spans a trace."""

    operations: int = 500
    spans_per_trace: int = 100_000


@dataclass(frozen=True, slots=True)
class Fresh:
    """The parts of one node that were written since a look; ``now`` is the node's time, in seconds since the epoch.

    ``loaded``: whether the sets that views ask were filled in these ten minutes, and since the node started.
    """

    now: int
    loaded: bool = False
    rollups: Sequence[str] = ()
    traces: Sequence[str] = ()
    spans: Sequence[str] = ()


def fresh(node: Engine, *, since: int) -> Fresh:
    """Return what was written to a node since a time of its own (see Fresh.now)."""
    (row,) = node.query(_sql("fresh_parts"), {"since": max(0, since - REACH_S), "largest": LARGEST})
    return Fresh(**row)


def enforce(node: Engine, found: Fresh, bounds: Bounds) -> None:
    """Name what is new, and put in force what has reached its bound; may be done again, and by several processes at once."""
    changed = _named(node, found, bounds.operations) | _overgrown(node, found, bounds.spans_per_trace)
    if not found.loaded:
        for name in ("crowded_services", "named_operations", "full_traces"):
            node.command(f"TRUNCATE TABLE {name}")
    if changed or not found.loaded:
        # Names before services: a crowded service without any names would be all `__other__`.
        node.command(_sql("load_named"), {"most": bounds.operations})
        node.command(_sql("load_full"))
        node.command(_sql("load_crowded"), {"most": bounds.operations})


def _named(node: Engine, found: Fresh, most: int) -> bool:
    parts = {"parts": list(found.rollups)}
    if not found.rollups or not node.query(_sql("unnamed_operations"), parts):
        return False
    node.command(_sql("name_operations"), parts | {"most": most})
    return True


def _overgrown(node: Engine, found: Fresh, most: int) -> bool:
    parts = {"parts": list(found.traces), "most": most}
    if not found.traces or not node.query(_sql("growing_traces"), parts):
        return False
    node.command(_sql("find_overgrown"), parts)
    return True


def note_attributes(node: Engine, found: Fresh) -> None:
    """Note the attributes of some of the spans that are new; doing it again counts these spans again, with all they bear."""
    if found.spans:
        rows = max(LEAST, LOOKED_AT // len(found.spans))
        told: dict[str, Any] = {"parts": list(found.spans), "rows": rows, "most": NAMES}
        node.command(_sql("note_attributes"), told)


@cache
def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.sql").read_text("utf-8")
