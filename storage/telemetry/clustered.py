"""How the plain schema is told to one node of a cluster: what is stored becomes Replicated, and gets a Distributed twin.

A node has two databases. The local one (``meshscope_local``) holds what the schema says: tables, views and all. The other
(``meshscope``) holds a Distributed table of the same name for each table that stores something, so that every question reads
all shards, word for word as it is asked of one machine.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b

from core.faults import Fault

OWN = "schema_migrations"
"""The table that each node keeps for itself: what one replica has of the schema says nothing of another."""

REMEMBERED_S = 7 * 24 * 3600
"""For how long a replicated table remembers tokens; ClickHouse's default of an hour is shorter than an outage may be."""

_COMMENTS = re.compile(r"--[^\n]*\n?")
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (?P<name>\w+) \(")
_ENGINE = re.compile(r"^\) ENGINE = (?P<kind>\w+?)(?P<merge>MergeTree)?(?:\((?P<arguments>[^()]*)\))?$", re.M)
_SORTED = re.compile(r"^ORDER BY (?P<key>.+?)$", re.M)
_WINDOW = re.compile(r"\bnon_replicated_deduplication_window = (\d+)")
_AS_IT_IS = re.compile(
    r"CREATE FUNCTION IF NOT EXISTS \w+ AS "
    r"|CREATE MATERIALIZED VIEW IF NOT EXISTS \w+ TO \w+ AS\s"
    r"|INSERT INTO \w+[ \n(]"
    r"|TRUNCATE TABLE \w+$"
    r"|ALTER TABLE \w+ (MODIFY TTL|MODIFY SETTING|DROP PARTITION|ADD INDEX IF NOT EXISTS|DROP INDEX IF EXISTS) "
)
_COLUMNS = re.compile(r"ALTER TABLE (?P<name>\w+) (?P<what>(ADD COLUMN IF NOT EXISTS|DROP COLUMN IF EXISTS) .+)", re.S)
_DROP = re.compile(r"DROP (?P<kind>TABLE|VIEW) IF EXISTS (?P<name>\w+)(?P<how> SYNC)?")


class StatementNotUnderstood(Fault):
    """Nobody has said what a statement is to become in a cluster."""

    code = "statement_not_understood"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as its nodes know it; ``database`` is where questions are asked."""

    name: str
    database: str
    replicated: bool

    @property
    def local(self) -> str:
        """Return the database that holds what a node stores itself."""
        return f"{self.database}_local"


def shard_of(token: str, shards: int) -> int:
    """Return which of ``shards`` shards, counted from 0, takes the block that bears this token.

    A token is ``topic:partition:start-end``, and all ranges of one partition go to one shard; a token without colons stands
    for itself. Depends on nothing else: whoever replays a block finds the shard that dropped or took it before.
    """
    origin = token.rpartition(":")[0] or token
    return int.from_bytes(blake2b(origin.encode(), digest_size=8).digest(), "big") % shards


def adds_rows(statement: str) -> bool:
    """Return whether a statement inserts: that is done once, across the shards, and not by every node for itself."""
    return _COMMENTS.sub("", statement).lstrip().startswith("INSERT ")


def on_node(statement: str, cluster: Cluster) -> list[str]:
    """Return what a plain statement becomes on a node, to be run in its local database.

    Raises StatementNotUnderstood for what it has no rule for: a guess would lose telemetry on some other node, much later.
    There is none for deleting rows: what a condition reads would be the node's own part of it.
    """
    bare = _COMMENTS.sub("", statement).strip()
    if _AS_IT_IS.match(bare):
        return [statement]
    if created := _TABLE.match(bare):
        return _table(created["name"], bare, statement, cluster)
    if altered := _COLUMNS.fullmatch(bare):
        return [statement, f"ALTER TABLE {cluster.database}.{altered['name']} {altered['what']}"]
    if dropped := _DROP.fullmatch(bare):
        return [f"DROP TABLE IF EXISTS {cluster.database}.{dropped['name']}{dropped['how'] or ''}", statement]
    raise StatementNotUnderstood(
        f"a cluster cannot be told this statement; expected one that storage/telemetry/clustered.py has a rule for: {bare[:200]}"
    )


def _table(name: str, bare: str, statement: str, cluster: Cluster) -> list[str]:
    engines, keys = list(_ENGINE.finditer(bare)), list(_SORTED.finditer(bare))
    if len(engines) != 1:
        raise StatementNotUnderstood(f"{name} must name its engine on a line of its own, as in `) ENGINE = MergeTree`")
    if engines[0]["kind"] in ("Null", "Set"):
        return [statement]  # nothing is stored, or what the node's own views ask: there is nothing to read from other shards
    if not (engines[0]["merge"] or engines[0]["kind"] == "MergeTree") or len(keys) != 1:
        raise StatementNotUnderstood(f"{name} must be a MergeTree with one ORDER BY on a line of its own")
    # Rows that replace each other must meet on one shard, so that what is written through the twin goes by the sorting key.
    twin = (
        f"CREATE TABLE IF NOT EXISTS {cluster.database}.{name} AS {cluster.local}.{name}\n"
        f"ENGINE = Distributed('{cluster.name}', '{cluster.local}', '{name}', cityHash64({keys[0]['key']}))"
    )
    return [_replicated(bare) if cluster.replicated and name != OWN else statement, twin]


def _replicated(bare: str) -> str:
    """Return the table with the engine's Replicated kin; ClickHouse fills in what stands in braces."""

    def kin(engine: re.Match[str]) -> str:
        own = f", {engine['arguments']}" if engine["arguments"] else ""
        kind = f"Replicated{engine['kind']}{engine['merge'] or ''}"
        return f") ENGINE = {kind}('/clickhouse/tables/{{shard}}/{{database}}/{{table}}', '{{replica}}'{own})"

    window = rf"replicated_deduplication_window = \1, replicated_deduplication_window_seconds = {REMEMBERED_S}"
    return _WINDOW.sub(window, _ENGINE.sub(kin, bare))
