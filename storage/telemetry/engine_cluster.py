"""The telemetry engine of a cluster: every shard, every replica, one store."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

from core.faults import Fault
from storage.telemetry.clustered import Cluster, adds_rows, on_node, shard_of
from storage.telemetry.engine import Engine, Session, Signal, StoreRefusesUs, StoreUnavailable
from storage.telemetry.engine_clickhouse import open_server
from storage.telemetry.questions import question
from storage.telemetry.server import Server

# Sent with every question: an inner question reads all shards too, and what settling finds is stored when it says so.
_ACROSS = {"distributed_product_mode": "global", "prefer_global_in_and_join": 1, "distributed_foreground_insert": 1}


class Node:
    """One machine of a cluster: it is told the plain schema and makes of it what the cluster needs.

    It is reached when it is first needed, so that one that is down holds up only what must be said to it.
    """

    def __init__(self, where: str, reach: Callable[[], Engine], cluster: Cluster) -> None:
        self._where, self._reach, self._cluster = where, reach, cluster
        self._reaching = threading.Lock()
        self._engine: Engine | None = None

    def __repr__(self) -> str:
        return f"<Node {self._where}>"

    @property
    def nodes(self) -> Sequence[Engine]:
        """Return this node."""
        return (self,)

    def insert(self, signal: Signal, requests: Sequence[bytes], token: str) -> None:
        """Insert into this node's shard (see Engine.insert)."""
        self._reached().insert(signal, requests, token)

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer from what this node stores itself (see Engine.query)."""
        return self._reached().query(sql, parameters)

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run what the statement is on a node; raise StatementNotUnderstood for one that has no rule."""
        for statement in on_node(sql, self._cluster):
            self._reached().command(statement, parameters)

    def session(self) -> AbstractContextManager[Session]:
        """Return a session on this node (see Engine.session)."""
        return self._reached().session()

    def close(self) -> None:
        """Let go of the connections."""
        if self._engine:
            self._engine.close()

    def _reached(self) -> Engine:
        with self._reaching:
            if self._engine is None:
                self._engine = self._reach()
            return self._engine


class ClusterEngine:
    """All shards as one store; use ``open_cluster``.

    Questions go to the entry, which asks all shards. A block goes to the one shard that its token names, to any of its
    replicas: they share what they remember of tokens. What changes tables is said to every node.
    """

    def __init__(self, entry: Engine, shards: Sequence[Sequence[Engine]]) -> None:
        self._entry, self._shards = entry, [tuple(replicas) for replicas in shards]

    def __repr__(self) -> str:
        return f"<ClusterEngine {self._entry!r} {self._shards}>"

    @property
    def nodes(self) -> Sequence[Engine]:
        """Return every replica of every shard."""
        return [node for replicas in self._shards for node in replicas]

    def insert(self, signal: Signal, requests: Sequence[bytes], token: str) -> None:
        """Insert into the token's shard (see Engine.insert); a replica that is down is passed over."""
        shard = shard_of(token, len(self._shards))
        trouble: StoreUnavailable | None = None
        for replica in self._shards[shard]:
            try:
                return replica.insert(signal, requests, token)
            except StoreUnavailable as fault:
                trouble = fault
                # The next block asks it last.
                self._shards[shard] = (*(each for each in self._shards[shard] if each is not replica), replica)
        assert trouble, "a shard has at least one replica"
        raise trouble

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer from all shards (see Engine.query)."""
        return self._entry.query(sql, parameters)

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Insert across the shards, or say a change of tables to every node; the first fault is raised after the last node."""
        if adds_rows(sql):
            return self._entry.command(sql, parameters)
        faults: list[Fault] = []
        for node in self.nodes:
            try:
                node.command(sql, parameters)
            except Fault as fault:
                faults.append(fault)
        if faults:
            raise faults[0]
        return None

    def session(self) -> AbstractContextManager[Session]:
        """Return a session on the entry (see Engine.session): what it reads and stores is all shards' all the same."""
        return self._entry.session()

    def close(self) -> None:
        """Let go of all connections."""
        for engine in (self._entry, *self.nodes):
            engine.close()


def open_cluster(server: Server) -> ClusterEngine:
    """Reach the cluster through ``server``; its nodes are the hosts that ``system.clusters`` names, on the same port.

    Raises StoreUnavailable, and StoreRefusesUs when the server knows no such cluster or has no Keeper for its replicas.
    """
    entry = open_server(server, settings=_ACROSS)
    hosts = entry.query(question("cluster_hosts"), {"cluster": server.cluster})
    shards: dict[int, list[Engine]] = {}
    for host in hosts:
        cluster = Cluster(server.cluster, server.database, replicated=host["keeper"])
        at = replace(server, host=host["host"], database=cluster.local)
        shards.setdefault(host["shard"], []).append(Node(at.where, partial(_reach, at, cluster), cluster))
    if not shards:
        raise _refused(entry, f"ClickHouse at {server.where} knows no cluster {server.cluster!r}; see system.clusters there")
    if max(len(replicas) for replicas in shards.values()) > 1 and not hosts[0]["keeper"]:
        raise _refused(entry, f"the shards of {server.cluster!r} have replicas, but ClickHouse at {server.where} has no Keeper")
    return ClusterEngine(entry, [*shards.values()])


def _reach(server: Server, cluster: Cluster) -> Engine:
    """Reach a node; both of its databases are there then."""
    open_server(replace(server, database=cluster.database)).close()
    return open_server(server)


def _refused(entry: Engine, why: str) -> StoreRefusesUs:
    entry.close()
    return StoreRefusesUs(why)
