"""GET /topology: who calls whom."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from core.clock import Clock
from query_api.circuit_breakers import believed_from_ns
from query_api.coverage import cover
from query_api.parameters import Answer, Asked, Windowed, upto
from query_api.questions import Questions, Row
from query_api.rollups import MINUTES, suited
from query_api.services import service_rows
from query_api.times import Window

EXTERNAL = "external"
MAX_EDGES = 5000
MAX_PEERS = 2000
HOPS = ("caller_ms", "out_proxy_ms", "in_proxy_ms", "callee_ms")


class Node(Answer):
    """A service; or a peer, which sends no spans of its own, as its callers see it; or whoever calls from outside."""

    id: str
    kind: Literal["service", "external", "peer"]
    versions: list[str]
    rate: float
    error_rate: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Hops(Answer):
    """The mean time of a call as the caller, its proxy, the callee's proxy and the callee saw it; null where nobody looked."""

    caller_ms: float | None
    out_proxy_ms: float | None
    in_proxy_ms: float | None
    callee_ms: float | None


class Edge(Answer):
    """The calls of one service to another, as the caller sees them.

    ``retries`` come on top of ``calls``; ``paired`` of the calls were seen from both sides. The versions are empty unless
    asked for. ``breaker_state`` is none when nothing was heard of a circuit breaker in the last hour. ``slowest_trace`` and
    ``failed_trace`` are traces to look at: of the slowest call, and of one of the newest that failed.
    """

    source: str
    destination: str
    source_version: str
    destination_version: str
    calls: int
    errors: int
    rate: float
    error_rate: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    retries: int
    paired: int
    hops: Hops
    slowest_trace: str | None
    failed_trace: str | None
    breaker_state: Literal["closed", "open", "half_open", "none"]


class Topology(Windowed):
    """The graph over the whole minutes, or hours, that overlap the window; ``truncated``: only its busiest part."""

    nodes: list[Node]
    edges: list[Edge]
    truncated: bool


def nodes(services: Iterable[Row], peers: Iterable[Row], edges: Iterable[Row]) -> list[Node]:
    """Return each service, each peer and each end of an edge once, by name."""
    quiet = {"versions": [], "rate": 0, "error_rate": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None}
    found = {row["name"]: Node.model_validate({**row, "id": row["name"], "kind": "service"}) for row in services}
    callers = {edge["source"] for edge in edges}
    for row in peers:
        # Who calls others sends spans, whether or not it takes requests.
        kind = "service" if row["id"] in callers else "peer"
        found.setdefault(row["id"], Node.model_validate({**row, "kind": kind}))
    for name in callers:
        kind = EXTERNAL if name == EXTERNAL else "service"
        found.setdefault(name, Node.model_validate({**quiet, "id": name, "kind": kind}))
    return [found[name] for name in sorted(found)]


def edge(row: Row) -> Edge:
    """Return an edge from its row, whose ``hop_ns`` and ``hop_calls`` are sums and counts in the order of HOPS."""
    seen = zip(HOPS, row["hop_ns"], row["hop_calls"], strict=True)
    return Edge.model_validate({**row, "hops": {hop: ns / calls / 1e6 if calls else None for hop, ns, calls in seen}})


def router(ask: Questions, asked: Asked, clock: Clock) -> APIRouter:
    """Return the routes of this resource."""
    routes = APIRouter()

    @routes.get("/topology")
    async def topology(
        window: Annotated[Window, Depends(asked.window)],
        by: Annotated[Literal["", "version"], Query(description="One edge for each pair of versions.")] = "",
    ) -> Topology:
        """Show who calls whom, with rates, errors, latencies and the state of the circuit breaker between them."""
        now = clock.now()
        kept = await ask.kept()
        rollup = suited(window, kept.holding(window), finest=MINUTES)
        covered = cover(window, grain=rollup.grain_s, first_ns=kept.first_ns, now=now)
        which = {"from_s": covered.from_s, "to_s": covered.to_s, "seconds": covered.seconds}
        breakers = {"believed_from_ns": believed_from_ns(window.end_ns), "end_ns": window.end_ns}
        (services, more_services), edge_rows, peer_rows = await asyncio.gather(
            service_rows(ask, rollup, covered),
            ask.ask("topology_edges", **which, **breakers, by_version=by == "version", limit=MAX_EDGES + 1),
            ask.ask("topology_peers", **which, rollup=rollup.table, limit=MAX_PEERS + 1),
        )
        edges, more_edges = upto(edge_rows, MAX_EDGES)
        peers, more_peers = upto(peer_rows, MAX_PEERS)
        return Topology(
            start=covered.shown.start,
            end=covered.shown.end,
            nodes=nodes(services, peers, edges),
            edges=[edge(row) for row in edges],
            truncated=more_services or more_edges or more_peers,
        )

    return routes
