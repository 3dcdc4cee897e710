"""How long telemetry is kept: sets each table's TTL, then reads it back, for a change that silently does nothing fills disks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.faults import Fault
from storage.telemetry.engine import Engine

TABLES: Mapping[str, tuple[str, ...]] = {
    "traces": ("spans", "trace_index", "kept_traces", "thinned_slices", "overgrown_traces", "attribute_names"),
    "rollups": ("golden_signals_10s", "edges_1m", "cluster_names"),
    "rollups_1m": ("golden_signals_1m",),
    "rollups_1h": ("golden_signals_1h",),
    "logs": ("logs",),
    "events": ("mesh_events",),
    "metrics": ("metric_points", "metric_histograms", "metric_summaries"),
}
"""What is kept equally long, by the name that settings have for it; ``half_edges`` only lives for two hours."""

_TTL = re.compile(r"\bTTL (?P<since>.+?) \+ toIntervalDay\((?P<days>\d+)\)")


class RetentionNotApplied(Fault):
    """The store did not take over how long a table is to be kept."""

    code = "retention_not_applied"


@dataclass(frozen=True, slots=True)
class Ttl:
    """A table's TTL, as its DDL has it: ``since`` is the expression that the days count from."""

    since: str
    days: int


def keep(engine: Engine, days: Mapping[str, int]) -> dict[str, int]:
    """Keep what ``days`` names for so many days; return what the store's own DDL says afterwards, by table.

    Tables that are right already are left alone. Raises RetentionNotApplied when the DDL does not follow. In a cluster each
    node is told, and reads its own DDL back.
    """
    applied: dict[str, int] = {}
    for node in engine.nodes:
        applied |= _keep(node, days)
    return applied


def _keep(engine: Engine, days: Mapping[str, int]) -> dict[str, int]:
    wanted = {table: kept for name, kept in days.items() for table in TABLES[name]}
    if senders := [days[name] for name in ("traces", "logs", "metrics") if name in days]:
        # A row of theirs names the resource until it goes; which day a resource was seen last, is known to the day.
        wanted["resources"] = max(senders) + 1
    found = ttls(engine)
    for table, kept in wanted.items():
        if found[table].days != kept:
            # Neither names nor expressions nor intervals can be parameters in DDL: the first two are the store's own words.
            engine.command(f"ALTER TABLE {table} MODIFY TTL {found[table].since} + toIntervalDay({int(kept)})")
    applied = {table: ttl.days for table, ttl in ttls(engine).items()}
    for table, kept in wanted.items():
        if applied[table] != kept:
            raise RetentionNotApplied(f"{table} is kept for {applied[table]} days, though {kept} were asked for; look at its DDL")
    return applied


def ttls(engine: Engine) -> dict[str, Ttl]:
    """Return the TTL of each table that has one in days, by what its DDL says."""
    rows = engine.query("SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()", {})
    found = {row["name"]: _TTL.search(row["engine_full"]) for row in rows}
    return {name: Ttl(match["since"], int(match["days"])) for name, match in found.items() if match}
