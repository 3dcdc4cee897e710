"""What the API answers about edges that are known."""

from collections.abc import AsyncIterator

import pytest

from storage.telemetry.engine import Engine
from tests.fakes.asked_api import Api, near, rfc
from tests.fakes.filled_store import HOUR, edge, event, spans
from tests.fakes.spans import SERVER, Span


@pytest.fixture
async def api(engine: Engine) -> AsyncIterator[Api]:
    api = Api(engine)
    async with api.client:
        yield api


class TestTopology:
    async def test_edges_are_summed_over_minutes_and_versions(self, api: Api, engine: Engine) -> None:
        spans(engine, Span("payments", SERVER, at=HOUR), Span("payments", SERVER, at=HOUR + 1000, version="v1"))
        edge(engine, "external", "payments", minute=HOUR + 960, ms=[10] * 9)
        edge(engine, "payments", "ledger", minute=HOUR + 900, ms=[10] * 80, errors=5, retries=3, paired=70, versions=("v1", "v1"))
        edge(
            engine, "payments", "ledger", minute=HOUR + 960, ms=[100] * 20, errors=5, retries=1, paired=20, versions=("v1", "v2")
        )
        edge(engine, "payments", "ledger", minute=HOUR + 840, ms=[1] * 999)  # before the window
        edge(engine, "payments", "ledger", minute=HOUR + 1800, ms=[1] * 999)  # after it
        body = await api.get("topology")
        first, second = body["edges"]
        assert first == {
            "source": "payments",
            "destination": "ledger",
            "source_version": "",
            "destination_version": "",
            "calls": 100,
            "errors": 10,
            "rate": pytest.approx(100 / 900),
            "error_rate": pytest.approx(0.1),
            "p50_ms": near(10),
            "p95_ms": near(100),
            "p99_ms": near(100),
            "retries": 4,
            "paired": 90,
            "breaker_state": "none",
            "hops": dict.fromkeys(("caller_ms", "out_proxy_ms", "in_proxy_ms", "callee_ms")),
            "slowest_trace": None,
            "failed_trace": None,
        }
        assert (second["source"], second["destination"], second["calls"]) == ("external", "payments", 9)

    async def test_nodes_are_services_whoever_is_called_and_the_outside(self, api: Api, engine: Engine) -> None:
        spans(engine, Span("payments", SERVER, at=HOUR), Span("payments", SERVER, at=HOUR + 1000, version="v1"))
        edge(engine, "external", "payments", minute=HOUR + 960, ms=[10])
        edge(engine, "payments", "postgresql", minute=HOUR + 960, ms=[5] * 90, errors=9, versions=("v1", ""))
        edge(engine, "cron", "payments", minute=HOUR + 960, ms=[10])
        nodes = {node["id"]: node for node in (await api.get("topology"))["nodes"]}
        assert {name: node["kind"] for name, node in nodes.items()} == {
            "external": "external",
            "payments": "service",
            "postgresql": "peer",
            "cron": "service",
        }
        peer = nodes["postgresql"]
        assert (peer["rate"], peer["error_rate"], peer["p50_ms"]) == (pytest.approx(0.1), pytest.approx(0.1), near(5))
        assert (nodes["payments"]["versions"], nodes["payments"]["rate"]) == (["v1"], pytest.approx(1 / 900))
        assert (nodes["external"]["rate"], nodes["external"]["p50_ms"]) == (0, None)

    async def test_a_minute_that_was_computed_again_replaces_and_a_tombstone_removes(self, api: Api, engine: Engine) -> None:
        edge(engine, "a", "b", minute=HOUR + 960, ms=[10] * 5)
        edge(engine, "a", "b", minute=HOUR + 960, ms=[10] * 7)
        edge(engine, "a", "gone", minute=HOUR + 960, ms=[10] * 5)
        edge(engine, "a", "gone", minute=HOUR + 960, ms=[])
        body = await api.get("topology")
        assert [(e["destination"], e["calls"]) for e in body["edges"]] == [("b", 7)]
        assert [node["id"] for node in body["nodes"]] == ["a", "b"]

    async def test_a_canary_shows_its_share_by_version(self, api: Api, engine: Engine) -> None:
        edge(engine, "a", "b", minute=HOUR + 960, ms=[10] * 9, versions=("v1", "v1"))
        edge(engine, "a", "b", minute=HOUR + 960, ms=[10] * 1, versions=("v1", "v2"))
        edges = (await api.get("topology", by="version"))["edges"]
        assert [(e["source_version"], e["destination_version"], e["calls"]) for e in edges] == [("v1", "v1", 9), ("v1", "v2", 1)]

    async def test_an_edge_tells_where_the_time_went_and_which_traces_to_look_at(self, api: Api, engine: Engine) -> None:
        hops = {0: (10, 100.0), 1: (10, 90.0), 3: (10, 50.0)}
        edge(engine, "a", "b", minute=HOUR + 960, ms=[10] * 10, hops=hops, slowest="aa" * 16, failed="0f" * 16)
        edge(
            engine,
            "a",
            "b",
            minute=HOUR + 1020,
            ms=[20, 25],
            hops={0: (2, 44.0), 2: (1, 8.0)},
            slowest="bb" * 16,
            failed="01" * 16,
        )
        edge(engine, "a", "b", minute=HOUR + 1080, ms=[3], slowest="cc" * 16)
        (found,) = (await api.get("topology"))["edges"]
        assert found["hops"] == {"caller_ms": 12.0, "out_proxy_ms": 9.0, "in_proxy_ms": 8.0, "callee_ms": 5.0}
        assert (found["slowest_trace"], found["failed_trace"]) == ("bb" * 16, "01" * 16)

    async def test_a_long_window_is_widened_to_whole_hours_for_nodes_and_edges_alike(self, api: Api, engine: Engine) -> None:
        spans(engine, *(Span("b", SERVER, at=HOUR - 86400 + at) for at in (1, 1801)))
        for at in (0, 1800):
            edge(engine, "a", "b", minute=HOUR - 86400 + at, ms=[10])
        edge(engine, "a", "b", minute=HOUR - 86460, ms=[10] * 99)
        body = await api.get("topology", start="now-1d")
        assert (body["start"], body["end"]) == (rfc(HOUR - 86400), rfc(HOUR + 1800))
        assert [e["calls"] for e in body["edges"]] == [2]
        assert [n["rate"] for n in body["nodes"] if n["id"] == "b"] == [body["edges"][0]["rate"]]

    async def test_the_worst_of_an_edges_circuit_breakers_counts(self, api: Api, engine: Engine) -> None:
        for destination in ("open", "half", "shut", "old", "elsewhere", "unenforced"):
            edge(engine, "payments", destination, minute=HOUR + 960, ms=[10])
        event(engine, "circuit_breaker", "opened", at=HOUR + 1000, destination="open", instance="p-1")
        event(engine, "circuit_breaker", "opened", at=HOUR + 1001, destination="open", instance="p-2")
        event(engine, "circuit_breaker", "closed", at=HOUR + 1002, destination="open", instance="p-2")
        event(engine, "circuit_breaker", "overflow", at=HOUR + 1003, destination="open", instance="p-1")
        event(engine, "circuit_breaker", "opened", at=HOUR + 1000, destination="half", target="half-v2")
        event(engine, "circuit_breaker", "half_opened", at=HOUR + 1010, destination="half", target="half-v2")
        event(engine, "circuit_breaker", "closed", at=HOUR + 1020, destination="half", target="half-v1")
        event(engine, "circuit_breaker", "opened", at=HOUR + 1000, destination="shut")
        event(engine, "circuit_breaker", "closed", at=HOUR + 1010, destination="shut")
        event(engine, "circuit_breaker", "opened", at=HOUR - 1801, destination="old")
        event(engine, "circuit_breaker", "opened", at=HOUR + 1000, source="elsewhere", destination="shut")
        event(engine, "outlier_detection", "ejected", at=HOUR + 1000, destination="elsewhere")
        event(engine, "circuit_breaker", "opened", at=HOUR + 1000, destination="unenforced", enforced=False)
        event(engine, "circuit_breaker", "opened", at=HOUR + 1801, destination="shut")  # after the window
        states = {e["destination"]: e["breaker_state"] for e in (await api.get("topology"))["edges"]}
        assert states == {"open": "open", "half": "half_open", "shut": "closed", "old": "none", "elsewhere": "none"} | {
            "unenforced": "none"
        }
