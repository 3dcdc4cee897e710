"""What the API answers about telemetry whose numbers are known."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from core.wire import delimited
from query_api.app import create_api
from storage.telemetry.engine import Engine
from tests.fakes.alert_reader import FakeAlertReader
from tests.fakes.filled_store import HOUR, edge, event, spans
from tests.fakes.manual_clock import ManualClock
from tests.fakes.spans import CLIENT, SERVER, Span, proxied

MS = 0.001


class Api:
    """The API at a time that the test says, in this process."""

    def __init__(self, engine: Engine) -> None:
        self.clock = ManualClock(HOUR + 1800)
        app = create_api(engine, FakeAlertReader(), self.clock)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://meshscope")

    async def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        answer = await self.client.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def refused(self, path: str, status: int, **parameters: Any) -> dict[str, Any]:
        answer = await self.client.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        body: dict[str, Any] = answer.json()
        assert body["status"] == status
        return body


@pytest.fixture
async def api(engine: Engine) -> AsyncIterator[Api]:
    api = Api(engine)
    async with api.client:
        yield api


def rfc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def near(expected: float) -> Any:
    """Return what a quantilesDD(0.01) of known durations may be."""
    return pytest.approx(expected, rel=0.011)


class TestServices:
    async def test_an_empty_store_has_no_services(self, api: Api) -> None:
        assert await api.get("services") == {
            "start": rfc(HOUR + 900),
            "end": rfc(HOUR + 1800),
            "services": [],
            "truncated": False,
        }

    async def test_golden_signals_are_per_second_of_the_window(self, api: Api, engine: Engine) -> None:
        # Data from before the window on: the whole window counts.
        spans(engine, Span("ledger", SERVER, at=HOUR))
        spans(
            engine,
            *(Span("payments", SERVER, version="v1", at=HOUR + 1000 + n, milliseconds=10) for n in range(90)),
            *(Span("payments", SERVER, version="v2", at=HOUR + 1000 + n, milliseconds=200, error=True) for n in range(10)),
        )
        (payments,) = (await api.get("services"))["services"]
        assert payments == {
            "name": "payments",
            "versions": ["v1", "v2"],
            "rate": pytest.approx(100 / 900),
            "error_rate": pytest.approx(0.1),
            "p50_ms": near(10),
            "p95_ms": near(200),
            "p99_ms": near(200),
            "last_seen": rfc(HOUR + 1080),
        }

    async def test_rates_count_only_the_time_for_which_there_is_data(self, api: Api, engine: Engine) -> None:
        spans(engine, *(Span("payments", SERVER, at=HOUR + 1706 + n / 10) for n in range(470)))
        (payments,) = (await api.get("services"))["services"]
        assert payments["rate"] == pytest.approx(470 / 94)  # from 1706, the first span, to 1800, now

    async def test_a_call_that_the_proxy_and_the_application_saw_counts_once(self, api: Api, engine: Engine) -> None:
        spans(engine, Span("ledger", SERVER, at=HOUR))
        for n in range(9):
            inbound = proxied(Span("payments", SERVER, at=HOUR + 1000 + n, milliseconds=30), "inbound")
            own = Span("payments", SERVER, inbound, at=HOUR + 1000 + n, milliseconds=20, version="v7")
            outbound = proxied(Span("payments", SERVER, own, at=HOUR + 1000 + n, milliseconds=500), "outbound")
            spans(engine, inbound, own, outbound)
            proxy = proxied(Span("fraud", SERVER, at=HOUR + 1000 + n, milliseconds=30))
            spans(engine, proxy, Span("fraud", SERVER, proxy, at=HOUR + 1000 + n, milliseconds=20))
        fraud, payments = (await api.get("services"))["services"]
        assert (payments["rate"], payments["p50_ms"]) == (pytest.approx(9 / 900), near(30))
        assert payments["versions"] == ["v7"]
        assert (fraud["rate"], fraud["p50_ms"]) == (pytest.approx(9 / 900), near(20))

    async def test_what_lies_outside_of_the_window_does_not_count(self, api: Api, engine: Engine) -> None:
        spans(engine, Span("old", SERVER, at=HOUR + 899), Span("new", SERVER, at=HOUR + 1800), Span("in", SERVER, at=HOUR + 900))
        assert [row["name"] for row in (await api.get("services"))["services"]] == ["in"]


class TestGoldenSignals:
    async def test_each_step_has_its_own_rate_latency_and_requests_in_flight(self, api: Api, engine: Engine) -> None:
        spans(engine, Span("payments", SERVER, at=HOUR))
        spans(engine, *(Span("payments", SERVER, at=HOUR + 1000 + n / 10, milliseconds=500, error=n < 25) for n in range(100)))
        spans(engine, *(Span("payments", SERVER, at=HOUR + 1020 + n, milliseconds=20) for n in range(5)))
        body = await api.get("services/payments/golden-signals", start=rfc(HOUR + 1000), end=rfc(HOUR + 1030), step="10s")
        assert (body["service"], body["step_s"], body["truncated"]) == ("payments", 10, False)
        (series,) = body["series"]
        assert series["group"] == ""
        busy, quiet, calm = series["points"]
        assert busy == {"t": rfc(HOUR + 1000), "rate": 10.0, "error_rate": 0.25, "p50_ms": near(500), "p95_ms": near(500)} | {
            "p99_ms": near(500),
            "in_flight": pytest.approx(5.0),
        }
        assert quiet == {"t": rfc(HOUR + 1010), "rate": 0, "error_rate": 0, "in_flight": 0} | dict.fromkeys(
            ("p50_ms", "p95_ms", "p99_ms")
        )
        assert (calm["t"], calm["rate"], calm["p99_ms"]) == (rfc(HOUR + 1020), 0.5, near(20))
        assert calm["in_flight"] == pytest.approx(5 * 0.020 / 10)
        assert series["total"] == {"calls": 105, "errors": 25, "rate": 3.5, "error_rate": pytest.approx(25 / 105)} | {
            "p50_ms": near(500),
            "p95_ms": near(500),
            "p99_ms": near(500),
        }

    async def test_a_call_that_the_proxy_and_the_application_saw_counts_once(self, api: Api, engine: Engine) -> None:
        for n in range(10):
            inbound = proxied(Span("payments", SERVER, at=HOUR + 1000 + n, milliseconds=30), "inbound")
            spans(engine, inbound, Span("payments", SERVER, inbound, at=HOUR + 1000 + n, milliseconds=20, error=True))
        (series,) = (await api.get("services/payments/golden-signals"))["series"]
        assert (series["total"]["calls"], series["total"]["errors"], series["total"]["p95_ms"]) == (10, 0, near(30))
        (busy,) = [point for point in series["points"] if point["rate"]]
        assert (busy["rate"], busy["error_rate"], busy["in_flight"]) == (1.0, 0, pytest.approx(0.03))

    async def test_a_group_for_each_version_or_route_busiest_first(self, api: Api, engine: Engine) -> None:
        spans(engine, *(Span("payments", SERVER, version="v1", name="GET /pay", at=HOUR + 1000, error=n < 1) for n in range(8)))
        spans(
            engine, *(Span("payments", SERVER, version="v2", name="GET /refund", at=HOUR + 1000, error=n < 1) for n in range(2))
        )
        by_version = (await api.get("services/payments/golden-signals", by="version"))["series"]
        assert [(s["group"], s["total"]["calls"], s["total"]["errors"]) for s in by_version] == [("v1", 8, 1), ("v2", 2, 1)]
        by_route = (await api.get("services/payments/golden-signals", by="route"))["series"]
        assert [(s["group"], s["total"]["calls"]) for s in by_route] == [("GET /pay", 8), ("GET /refund", 2)]
        counted = [sum(point["rate"] > 0 for point in s["points"]) for s in by_route]
        assert counted == [1, 1]

    async def test_the_step_in_which_now_lies_counts_the_seconds_that_passed(self, api: Api, engine: Engine) -> None:
        spans(engine, Span("payments", SERVER, at=HOUR))
        spans(engine, *(Span("payments", SERVER, at=HOUR + 1800 + n / 10) for n in range(40)))
        api.clock.move(4)
        (series,) = (await api.get("services/payments/golden-signals", start="now-1m"))["series"]
        assert (series["points"][-1]["t"], series["points"][-1]["rate"]) == (rfc(HOUR + 1800), 10.0)

    async def test_a_step_is_widened_so_that_a_series_stays_small(self, api: Api, engine: Engine) -> None:
        spans(engine, Span("payments", SERVER, at=HOUR - 3 * 86400), Span("payments", SERVER, at=HOUR + 1000))
        body = await api.get("services/payments/golden-signals", start="now-3d", step="10s")
        points = body["series"][0]["points"]
        assert body["step_s"] == 260
        assert 990 <= len(points) <= 1000
        assert sum(point["rate"] > 0 for point in points) == 1

    async def test_a_service_that_was_quiet_in_the_window_is_no_unknown_one(self, api: Api, engine: Engine) -> None:
        spans(engine, Span("payments", SERVER, at=HOUR), Span("cron", CLIENT, at=HOUR))
        for name in ("payments", "cron"):
            (series,) = (await api.get(f"services/{name}/golden-signals"))["series"]
            assert (series["total"]["calls"], series["total"]["p50_ms"], len(series["points"])) == (0, None, 90)
        problem = await api.refused("services/nobody/golden-signals", 404)
        assert problem["code"] == "not_found"

    async def test_a_name_may_hold_anything_a_url_can(self, api: Api, engine: Engine) -> None:
        for name in ("a/b", "it's", 'x"; DROP TABLE spans', "naïve 服务", "100%", "golden-signals"):
            spans(engine, Span(name, SERVER, at=HOUR + 1000))
            quoted = httpx.URL(f"http://m/{name.replace('%', '%25')}").raw_path.decode()[1:].replace("/", "%2F")
            body = await api.get(f"services/{quoted}/golden-signals")
            assert (body["service"], body["series"][0]["total"]["calls"]) == (name, 1)


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


class TestTraces:
    @pytest.fixture
    def shop(self, engine: Engine) -> dict[str, Span]:
        """Three requests: a quick one, a slow one that failed below, and an old one."""
        found = {}
        for name, at, ms, error in (("quick", 1000, 10, False), ("slow", 1100, 400, True), ("old", 100, 10, False)):
            root = Span("gateway", SERVER, name=f"GET /{name}", at=HOUR + at, milliseconds=ms)
            call = Span("gateway", CLIENT, root, name="POST /pay", at=HOUR + at + MS, milliseconds=ms - 2, error=error)
            callee = Span(
                "payments", SERVER, call, name="POST /pay", version="v2" if error else "v1", error=error, at=HOUR + at + 2 * MS
            )
            callee.milliseconds = ms - 4
            spans(engine, root, call, callee)
            found[name] = root
        return found

    async def test_newest_first(self, api: Api, shop: dict[str, Span]) -> None:
        slow, quick = (await api.get("traces"))["traces"]
        assert slow == {
            "trace_id": shop["slow"].trace_id.hex(),
            "start": rfc(HOUR + 1100),
            "duration_ms": pytest.approx(400),
            "root_service": "gateway",
            "root_name": "GET /slow",
            "services": ["gateway", "payments"],
            "spans": 3,
            "errors": 2,
        }
        assert quick["trace_id"] == shop["quick"].trace_id.hex()

    @pytest.mark.parametrize(
        ("wanted", "names"),
        [
            ({"service": "payments"}, ["slow", "quick"]),
            ({"service": "nobody"}, []),
            ({"service": "' OR 1=1 --"}, []),
            ({"version": "v2"}, ["slow"]),
            ({"service": "gateway", "version": "v2"}, []),
            ({"route": "GET /quick"}, ["quick"]),
            ({"min_duration": "250ms"}, ["slow"]),
            ({"max_duration": "0.25s"}, ["quick"]),
            ({"min_duration": "1s"}, []),
            ({"error": "true"}, ["slow"]),
            ({"error": "false"}, ["quick"]),
            ({"error": "true", "service": "gateway", "route": "GET /slow"}, []),
            ({"limit": 1}, ["slow"]),
            ({"start": "now-1h"}, ["slow", "quick", "old"]),
            ({"start": "now-1h", "end": "now-20m"}, ["old"]),
        ],
    )
    async def test_filters(self, api: Api, shop: dict[str, Span], wanted: dict[str, Any], names: list[str]) -> None:
        found = (await api.get("traces", **wanted))["traces"]
        assert [row["root_name"].removeprefix("GET /") for row in found] == names

    async def test_a_trace_whose_last_span_alone_is_recent_stays_behind_newer_ones(self, api: Api, engine: Engine) -> None:
        for name, at in (("long", 1000), ("newer", 1600), ("newest", 1790)):
            root = Span("gateway", SERVER, name=name, at=HOUR + at, milliseconds=10)
            spans(engine, root, Span("payments", SERVER, root, at=HOUR + (1795 if name == "long" else at), milliseconds=10))
        for limit in (1, 2, 3):
            found = (await api.get("traces", limit=limit))["traces"]
            assert [row["root_name"] for row in found] == ["newest", "newer", "long"][:limit]

    async def test_a_trace_reads_from_the_root_down(self, api: Api, engine: Engine) -> None:
        root = Span("gateway", SERVER, name="root", at=HOUR + 1000, milliseconds=100)
        late = Span("gateway", CLIENT, root, name="late", at=HOUR + 1000 + 50 * MS, milliseconds=10)
        early = Span("gateway", CLIENT, root, name="early", at=HOUR + 1000 + 10 * MS, milliseconds=20)
        # Its host's clock is ahead by more than its parent lasts.
        below = Span("payments", SERVER, early, name="below", at=HOUR + 1000 + 70 * MS, milliseconds=15.5)
        stray = Span("audit", SERVER, Span("lost", CLIENT, root), name="stray", at=HOUR + 1000 + 30 * MS, milliseconds=5)
        spans(engine, below, stray)
        spans(engine, late, root, early)
        body = await api.get(f"traces/{root.trace_id.hex().upper()}")
        assert (body["trace_id"], body["start"], body["truncated"]) == (root.trace_id.hex(), rfc(HOUR + 1000), False)
        assert (body["duration_ms"], body["services"]) == (pytest.approx(100), ["audit", "gateway", "payments"])
        read = [(span["name"], span["depth"], span["parent_id"]) for span in body["spans"]]
        assert read == [
            ("root", 0, None),
            ("early", 1, root.span_id.hex()),
            ("below", 2, early.span_id.hex()),
            ("late", 1, root.span_id.hex()),
            ("stray", 0, stray.parent.span_id.hex() if stray.parent else None),
        ]
        assert body["spans"][2]["span_id"] == below.span_id.hex()
        assert body["spans"][2]["offset_ms"] == pytest.approx(70, abs=0.001)
        assert body["spans"][2]["duration_ms"] == pytest.approx(15.5, abs=0.001)

    async def test_a_span_keeps_all_that_was_sent(self, api: Api, engine: Engine) -> None:
        message = ExportTraceServiceRequest()
        batch = message.resource_spans.add()
        for key, value in {
            "service.name": "payments",
            "service.version": "v1",
            "mesh.virtual_node": "payments-v1",
            "os": "linux",
        }.items():
            batch.resource.attributes.add(key=key).value.string_value = value
        start = round(HOUR + 1000) * 1_000_000_000
        span = batch.scope_spans.add().spans.add(
            trace_id=b"\x00" * 15 + b"\x01",
            span_id=b"\x00" * 7 + b"\xfe",
            name="POST /pay",
            kind=CLIENT,  # type: ignore[arg-type]
            start_time_unix_nano=start,
            end_time_unix_nano=start + 1_234_567,
        )
        span.status.code, span.status.message = 2, "upstream gone"  # type: ignore[assignment]
        sent = {"component": "proxy", "mesh.direction": "outbound", "http.request.method": "POST", "http.route": "/pay"} | {
            "upstream_cluster.name": "ledger-node",
            "response_flags": "UF",
            "peer.service": "ledger",
            "note": "it's",
        }
        for key, value in sent.items():
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="http.response.status_code").value.int_value = 503
        span.attributes.add(key="http.request.resend_count").value.int_value = 2
        told = span.events.add(time_unix_nano=start + 500_000, name="exception")
        told.attributes.add(key="exception.type").value.string_value = "Boom"
        engine.insert("traces", delimited([message.SerializeToString()]), "one")
        (seen,) = (await api.get("traces/" + "0" * 31 + "1"))["spans"]
        assert seen == {
            "span_id": "00000000000000fe",
            "parent_id": None,
            "service": "payments",
            "version": "v1",
            "node": "payments-v1",
            "hop": "outbound",
            "name": "POST /pay",
            "kind": "client",
            "start": rfc(HOUR + 1000),
            "offset_ms": 0.0,
            "duration_ms": 1.234567,
            "error": True,
            "status_message": "upstream gone",
            "attributes": {
                "http.request.method": "POST",
                "http.route": "/pay",
                "http.response.status_code": "503",
                "http.request.resend_count": "2",
                "upstream_cluster.name": "ledger-node",
                "response_flags": "UF",
                "peer.service": "ledger",
                "note": "it's",
            },
            "resource": {"service.name": "payments", "service.version": "v1", "mesh.virtual_node": "payments-v1", "os": "linux"},
            "events": [{"offset_ms": 0.5, "name": "exception", "attributes": {"exception.type": "Boom"}}],
            "depth": 0,
        }

    async def test_a_huge_trace_is_cut_and_says_so(self, api: Api, engine: Engine) -> None:
        root = Span("loop", SERVER, at=HOUR + 1000, milliseconds=30_000)
        spans(engine, root, *(Span("loop", CLIENT, root, at=HOUR + 1000 + n * MS) for n in range(20_050)))
        body = await api.get(f"traces/{root.trace_id.hex()}")
        assert (len(body["spans"]), body["truncated"], body["duration_ms"]) == (20_000, True, pytest.approx(30_000))
        (listed,) = (await api.get("traces"))["traces"]
        assert listed["spans"] == 20_051

    async def test_unknown_and_impossible_ids(self, api: Api) -> None:
        assert (await api.refused("traces/" + "a" * 32, 404))["code"] == "not_found"
        for bad in ("a" * 31, "a" * 33, "g" * 32, "' OR 1", "%00" * 32):
            assert (await api.refused(f"traces/{bad}", 400))["code"] == "invalid_parameter"


class TestMeshEvents:
    async def test_newest_first_with_their_numbers(self, api: Api, engine: Engine) -> None:
        event(engine, "outlier_detection", "ejected", at=HOUR + 1000, endpoint="10.0.0.1:80", reason="consecutive_5xx")
        event(engine, "circuit_breaker", "opened", at=HOUR + 1001.5, numbers={"failures": 5, "ratio": 0.5}, trace_id=b"\x0a" * 16)
        event(engine, "circuit_breaker", "opened", at=HOUR + 100)
        opened, ejected = (await api.get("mesh-events"))["events"]
        assert opened == {
            "ts": rfc(HOUR + 1001.5),
            "mesh": "shop",
            "source": "payments",
            "destination": "ledger",
            "endpoint": "",
            "target": "ledger-node",
            "instance": "payments-1",
            "type": "circuit_breaker",
            "action": "opened",
            "enforced": True,
            "reason": "",
            "numbers": {"failures": 5.0, "ratio": 0.5},
            "trace_id": "0a" * 16,
        }
        assert (ejected["endpoint"], ejected["reason"], ejected["trace_id"]) == ("10.0.0.1:80", "consecutive_5xx", None)

    async def test_filters(self, api: Api, engine: Engine) -> None:
        event(engine, "outlier_detection", "ejected", at=HOUR + 1000)
        event(engine, "circuit_breaker", "opened", at=HOUR + 1001, source="gateway")
        event(engine, "circuit_breaker", "closed", at=HOUR + 1002, destination="fraud")
        for wanted, count in (
            ({"type": "circuit_breaker"}, 2),
            ({"action": "ejected"}, 1),
            ({"source": "gateway"}, 1),
            ({"destination": "fraud"}, 1),
            ({"destination": "fraud", "source": "gateway"}, 0),
            ({"limit": 2}, 2),
        ):
            assert len((await api.get("mesh-events", **wanted))["events"]) == count, wanted


class TestCircuitBreakers:
    async def intervals(self, api: Api, **parameters: str) -> list[tuple[str, float, float]]:
        (found,) = (await api.get("circuit-breakers", **parameters))["edges"]
        assert (found["source"], found["destination"], found["target"]) == ("payments", "ledger", "ledger-node")
        assert found["state"] == found["intervals"][-1]["state"]
        return [
            (part["state"], *(datetime.fromisoformat(part[key]).timestamp() - HOUR for key in ("start", "end")))
            for part in found["intervals"]
        ]

    async def test_states_follow_each_other_over_the_window(self, api: Api, engine: Engine) -> None:
        for action, at in (("opened", 1000), ("half_opened", 1030), ("opened", 1031), ("half_opened", 1090), ("closed", 1092)):
            event(engine, "circuit_breaker", action, at=HOUR + at)
        event(engine, "circuit_breaker", "overflow", at=HOUR + 1010)
        assert await self.intervals(api) == [
            ("closed", 900, 1000),
            ("open", 1000, 1030),
            ("half_open", 1030, 1031),
            ("open", 1031, 1090),
            ("half_open", 1090, 1092),
            ("closed", 1092, 1800),
        ]

    async def test_the_state_before_the_window_goes_on_in_it(self, api: Api, engine: Engine) -> None:
        event(engine, "circuit_breaker", "opened", at=HOUR + 100)
        event(engine, "circuit_breaker", "half_opened", at=HOUR + 200)
        event(engine, "circuit_breaker", "closed", at=HOUR + 950)
        assert await self.intervals(api) == [("half_open", 900, 950), ("closed", 950, 1800)]
        assert await self.intervals(api, end="now-14m30s".replace("14m30s", "870s")) == [("half_open", 900, 930)]
        assert await self.intervals(api, start="now-1m", end="now") == [("closed", 1740, 1800)]

    async def test_one_proxy_that_is_open_keeps_the_edge_open(self, api: Api, engine: Engine) -> None:
        for action, at, instance in (
            ("opened", 100, "a"),
            ("opened", 1000, "b"),
            ("half_opened", 1010, "a"),
            ("closed", 1020, "b"),
            ("closed", 1030, "a"),
        ):
            event(engine, "circuit_breaker", action, at=HOUR + at, instance=instance)
        assert await self.intervals(api) == [("open", 900, 1020), ("half_open", 1020, 1030), ("closed", 1030, 1800)]

    async def test_what_was_said_more_than_an_hour_before_is_not_believed(self, api: Api, engine: Engine) -> None:
        event(engine, "circuit_breaker", "opened", at=HOUR + 900 - 3601)
        assert (await api.get("circuit-breakers"))["edges"] == []

    async def test_the_future_has_no_state(self, api: Api, engine: Engine) -> None:
        event(engine, "circuit_breaker", "opened", at=HOUR + 1000)
        assert await self.intervals(api, end=rfc(HOUR + 3000)) == [("closed", 900, 1000), ("open", 1000, 1800)]


class TestStatus:
    async def test_it_counts_what_is_stored(self, api: Api, engine: Engine) -> None:
        empty = await api.get("status")
        assert (empty["spans_stored"], empty["oldest"], empty["newest"]) == (0, None, None)
        spans(engine, Span("a", SERVER, at=HOUR + 1), Span("a", SERVER, at=HOUR + 2))
        event(engine, "config", "accepted", at=HOUR)
        status = await api.get("status")
        assert (status["spans_stored"], status["logs_stored"]) == (2, 1)
        assert (status["oldest"], status["newest"]) == (rfc(HOUR + 1), rfc(HOUR + 2))
        assert status["bytes_on_disk"] > 1000
        assert status["version"]
