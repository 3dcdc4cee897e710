"""What the demo showed: asked from the query API, and judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from rich.table import Table

from cli.demo.plan import CALLS, EDGES, VERSIONS
from cli.demo.processes import DemoFailed


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the demo should show, what the API said of it, and whether it is there."""

    what: str
    seen: str
    good: bool


class Asking:
    """Asks the query API about the time since the demo began."""

    def __init__(self, client: httpx.AsyncClient, since: str) -> None:
        self._client, self._since = client, since

    async def since_then(self, path: str, **parameters: str) -> dict[str, Any]:
        """Return what the API says of the time since the demo began; raise DemoFailed when it refuses."""
        return await self.get(path, start=self._since, **parameters)

    async def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Return what the API answers; raise DemoFailed when it refuses."""
        response = await self._client.get(f"/api/v1/{path}", params=parameters)
        if not response.is_success:
            raise DemoFailed(f"the query API refused {response.url}: {response.text}")
        answer: dict[str, Any] = response.json()
        return answer

    async def spans_stored(self) -> int:
        """Return how many spans the store holds."""
        return int((await self.get("status"))["spans_stored"])


async def findings(asking: Asking, *, sent: int, webhooks_received: int) -> list[Finding]:
    """Ask for everything that the demo should have shown."""
    topology = await asking.since_then("topology")
    events = (await asking.since_then("mesh-events", limit="1000", type="circuit_breaker"))["events"]
    by_version = await asking.since_then("services/payments/golden-signals", by="version")
    alerts = await asking.get("alerts")
    return [
        _services((await asking.since_then("services"))["services"]),
        *_edges(topology["edges"]),
        _breaker(events),
        _canary(by_version["series"]),
        _webhooks(alerts["deliveries"], webhooks_received),
        _spans(sent, await asking.spans_stored()),
    ]


def _services(services: Sequence[Mapping[str, Any]]) -> Finding:
    names = {service["name"] for service in services}
    return Finding("services seen", f"{len(names)}: {', '.join(sorted(names))}", names == set(CALLS))


def _edges(edges: Sequence[Mapping[str, Any]]) -> list[Finding]:
    seen = {(edge["source"], edge["destination"]): edge for edge in edges}
    found = [
        Finding(f"edge {source} -> {destination}", *_edge(seen.get((source, destination))))
        for source, destination in sorted(EDGES)
    ]
    strange = sorted(f"{source} -> {destination}" for source, destination in seen.keys() - EDGES)
    return [*found, Finding("edges that are not there", ", ".join(strange) or "none", not strange)]


def _edge(edge: Mapping[str, Any] | None) -> tuple[str, bool]:
    if edge is None or edge["p99_ms"] is None:
        return "not seen", False
    share = edge["errors"] / edge["calls"]
    numbers = f"{edge['calls']} calls, {edge['rate']:.1f}/s, p99 {edge['p99_ms']:.1f} ms"
    return f"{numbers}, {share:.1%} errors, {edge['retries']} retries", True


def _breaker(events: Sequence[Mapping[str, Any]]) -> Finding:
    actions = [event["action"] for event in events if event["destination"] == "ledger"]
    count = {action: actions.count(action) for action in ("opened", "half_opened", "closed")}
    return Finding(
        "breaker of the ledger", ", ".join(f"{number} {action}" for action, number in count.items()), all(count.values())
    )


def _canary(series: Sequence[Mapping[str, Any]]) -> Finding:
    calls = {each["group"]: each["total"]["calls"] for each in series}
    total = sum(calls.values()) or 1
    observed = {version: calls.get(version, 0) / total for version in VERSIONS["payments"]}
    text = ", ".join(f"{version} {share:.1%} ({calls.get(version, 0)})" for version, share in observed.items())
    # Weights are chances: four standard deviations of a fair draw are allowed.
    good = all(
        abs(observed[v] - w / 100) <= 4 * (w / 100 * (1 - w / 100) / total) ** 0.5 for v, w in VERSIONS["payments"].items()
    )
    return Finding("canary split of payments", text, good and total > 1)


def _webhooks(deliveries: Sequence[Mapping[str, Any]], received: int) -> Finding:
    delivered = sum(delivery["status"] == "delivered" for delivery in deliveries)
    return Finding("webhook deliveries", f"{delivered} delivered, {received} received", delivered == received > 0)


def _spans(sent: int, stored: int) -> Finding:
    return Finding("spans sent = spans stored", f"{sent} sent, {stored} stored", sent == stored > 0)


def table(rows: Sequence[Finding]) -> Table:
    """Return the findings as a table to print."""
    drawn = Table("", "what", "seen through the API", title="What the demo showed", title_justify="left")
    for row in rows:
        drawn.add_row("[green]ok[/]" if row.good else "[red]missing[/]", row.what, row.seen)
    return drawn
