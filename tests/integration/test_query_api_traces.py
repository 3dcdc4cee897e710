"""What the API answers about traces that are known."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.thinning import TraceThinner
from storage.telemetry.bounds import Bounds, enforce, fresh
from storage.telemetry.engine import Engine
from storage.telemetry.thinning import Policy
from tests.fakes.asked_api import Api, rfc
from tests.fakes.filled_store import HOUR, spans
from tests.fakes.spans import CLIENT, SERVER, Span
from tests.fakes.thinned import At

MS = 0.001


async def thin(engine: Engine) -> None:
    await TraceThinner(engine, At(HOUR + 2 * 3600), Policy(0, share=0)).look()


@pytest.fixture
async def api(engine: Engine) -> AsyncIterator[Api]:
    api = Api(engine)
    async with api.client:
        yield api


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
            callee.attributes |= {
                "http.route": "/pay",
                "url.path": f"/pay/{name}",
                "cart.items": at,
                "http.response.status_code": 503 if error else 200,
            }
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
            ({"attribute": "url.path=/pay/quick"}, ["quick"]),
            ({"attribute": "url.path=/pay/nothing"}, []),
            ({"attribute": "cart.items=1100"}, ["slow"]),
            ({"attribute": "cart.items=1100", "service": "gateway"}, []),
            ({"attribute": "other=1100"}, []),
            ({"attribute": "http.response.status_code=503"}, ["slow"]),
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
            "server.address": "ledger",  # without a port
            "note": "it's",
        }
        for key, value in sent.items():
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="http.response.status_code").value.int_value = 503
        span.attributes.add(key="http.request.resend_count").value.int_value = 2
        told = span.events.add(time_unix_nano=start + 500_000, name="exception")
        told.attributes.add(key="exception.type").value.string_value = "Boom"
        told.attributes.add(key="exception.escaped").value.bool_value = True
        nested = span.attributes.add(key="cart").value.kvlist_value.values.add(key="items").value.array_value.values
        nested.add().int_value = 2**60
        nested.add().bytes_value = b"\xff\x00"
        link = span.links.add(trace_id=b"\x07" * 16, span_id=b"\x08" * 8, trace_state="vendor=1")
        link.attributes.add(key="why").value.double_value = 0.5
        span.trace_state, span.dropped_attributes_count, span.dropped_links_count = "a=1,b=2", 3, 4
        engine.insert("traces", [message.SerializeToString()], "one")
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
                "server.address": "ledger",
                "note": "it's",
                "cart": {"items": [str(2**60), "/wA="]},
                "otel.dropped_attributes_count": "3",
                "otel.dropped_links_count": "4",
            },
            "trace_state": "a=1,b=2",
            "resource": {"service.name": "payments", "service.version": "v1", "mesh.virtual_node": "payments-v1", "os": "linux"},
            "events": [
                {"offset_ms": 0.5, "name": "exception", "attributes": {"exception.type": "Boom", "exception.escaped": "true"}}
            ],
            "links": [{"trace_id": "07" * 16, "span_id": "08" * 8, "trace_state": "vendor=1", "attributes": {"why": "0.5"}}],
            "depth": 0,
        }

    @pytest.mark.parametrize(
        "sent",
        [
            {"server.address": "10.0.0.7", "server.port": 8080},
            {"server.address": "10.0.0.7"},
            {"server.port": 8080},
            {"upstream_address": "10.0.0.7:8080"},
            {"upstream_address": "10.0.0.7:8080", "server.address": "ledger"},
            {"peer.service": "ledger"},
            {"db.system.name": "postgresql"},
        ],
        ids=" ".join,
    )
    async def test_attributes_are_shown_as_they_were_sent(self, api: Api, engine: Engine, sent: dict[str, str | int]) -> None:
        span = Span("payments", CLIENT, at=HOUR, attributes=dict(sent))
        spans(engine, span)
        (seen,) = (await api.get(f"traces/{span.trace_id.hex()}"))["spans"]
        assert seen["attributes"] == {name: str(value) for name, value in sent.items()}

    async def test_lists_say_how_much_was_thinned(self, api: Api, engine: Engine, shop: dict[str, Span]) -> None:
        assert (await api.get("traces"))["thinned"] is None
        await thin(engine)
        body = await api.get("traces")
        assert [row["root_name"] for row in body["traces"]] == ["GET /slow"]
        assert body["thinned"] == {"until": rfc(HOUR + 3600), "traces_seen": 3, "traces_kept": 1}
        assert (await api.get("traces", start="now-3h", end="now-2h"))["thinned"] is None
        (signals,) = (await api.get("services/payments/golden-signals"))["series"]
        assert signals["total"]["calls"] == 2

    async def test_of_a_thinned_trace_everything_but_its_spans_is_told(
        self, api: Api, engine: Engine, shop: dict[str, Span]
    ) -> None:
        before = {name: await api.get(f"traces/{root.trace_id.hex()}") for name, root in shop.items()}
        assert [(body["thinned"], body["kept_because"]) for body in before.values()] == [(False, [])] * 3
        await thin(engine)
        after = {name: await api.get(f"traces/{root.trace_id.hex()}") for name, root in shop.items()}
        assert after["slow"] == before["slow"] | {"kept_because": ["erred", "slow"]}
        for name in ("quick", "old"):
            assert after[name] == before[name] | {"spans": [], "thinned": True}
            assert (after[name]["root_name"], after[name]["spans_seen"], after[name]["errors"]) == (f"GET /{name}", 3, 0)

    async def test_a_trace_that_is_there_in_part_says_so(self, api: Api, engine: Engine, shop: dict[str, Span]) -> None:
        await thin(engine)
        late = Span("payments", SERVER, shop["quick"], name="late", at=HOUR + 1000, error=True)
        spans(engine, late)
        await thin(engine)
        body = await api.get(f"traces/{late.trace_id.hex()}")
        assert [span["name"] for span in body["spans"]] == ["late"]
        assert (body["thinned"], body["spans_seen"], body["errors"], body["kept_because"]) == (True, 4, 1, ["erred"])

    async def test_a_huge_trace_is_cut_and_says_so(self, api: Api, engine: Engine) -> None:
        root = Span("loop", SERVER, at=HOUR + 1000, milliseconds=30_000)
        spans(engine, root, *(Span("loop", CLIENT, root, at=HOUR + 1000 + n * MS) for n in range(20_050)))
        body = await api.get(f"traces/{root.trace_id.hex()}")
        assert (len(body["spans"]), body["truncated"], body["duration_ms"]) == (20_000, True, pytest.approx(30_000))
        (listed,) = (await api.get("traces"))["traces"]
        assert listed["spans"] == 20_051

    async def test_a_trace_that_grew_beyond_its_bound_says_how_much_was_left_out(self, api: Api, engine: Engine) -> None:
        root = Span("loop", SERVER, at=HOUR - 7200)
        for more in (50, 30):
            spans(engine, root, *(Span("loop", CLIENT, root, at=HOUR - 7200 + n * MS) for n in range(more)))
            enforce(engine, fresh(engine, since=0), Bounds(spans_per_trace=40))
        body = await api.get(f"traces/{root.trace_id.hex()}")
        assert (len(body["spans"]), body["spans_seen"], body["spans_left_out"], body["thinned"]) == (51, 82, 31, False)
        await thin(engine)
        body = await api.get(f"traces/{root.trace_id.hex()}")
        assert (body["spans"], body["spans_seen"], body["spans_left_out"], body["thinned"]) == ([], 82, 31, True)

    async def test_unknown_and_impossible_ids(self, api: Api) -> None:
        assert (await api.refused("traces/" + "a" * 32, 404))["code"] == "not_found"
        for bad in ("a" * 31, "a" * 33, "g" * 32, "' OR 1", "%00" * 32):
            assert (await api.refused(f"traces/{bad}", 400))["code"] == "invalid_parameter"
