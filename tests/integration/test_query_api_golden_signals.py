"""What the API answers about services whose requests are known."""

from collections.abc import AsyncIterator

import httpx
import pytest

from storage.telemetry.engine import Engine
from tests.fakes.asked_api import Api, near, rfc
from tests.fakes.filled_store import HOUR, spans
from tests.fakes.spans import CLIENT, SERVER, Span, proxied


@pytest.fixture
async def api(engine: Engine) -> AsyncIterator[Api]:
    api = Api(engine)
    async with api.client:
        yield api


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
        spans(
            engine,
            *(
                Span("payments", SERVER, at=HOUR + 1000 + n / 10, milliseconds=500, error=n < 25, trace_id=b"\xaa" * 16)
                for n in range(100)
            ),
        )
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
            "slowest_trace": "aa" * 16,
            "failed_trace": "aa" * 16,
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

    async def test_zones_are_told_apart_only_when_asked_for(self, api: Api, engine: Engine) -> None:
        spans(engine, *(Span("payments", SERVER, zone="eu-1a", at=HOUR + 1000, error=True) for _ in range(3)))
        spans(engine, *(Span("payments", SERVER, zone="eu-1b", at=HOUR + 1000, milliseconds=70) for _ in range(2)))
        spans(engine, Span("payments", SERVER, at=HOUR + 1000))
        by_zone = (await api.get("services/payments/golden-signals", by="zone"))["series"]
        assert [(s["group"], s["total"]["calls"], s["total"]["errors"]) for s in by_zone] == [
            ("eu-1a", 3, 3),
            ("eu-1b", 2, 0),
            ("", 1, 0),
        ]
        assert [sum(point["rate"] > 0 for point in s["points"]) for s in by_zone] == [1, 1, 1]
        for by in ("", "version", "route"):
            (whole,) = (await api.get("services/payments/golden-signals", by=by))["series"]
            assert (whole["total"]["calls"], whole["total"]["errors"], whole["total"]["p99_ms"]) == (6, 3, near(70))

    async def test_each_group_names_its_slowest_and_its_newest_failed_trace(self, api: Api, engine: Engine) -> None:
        fast, slow, failed, newer = (
            Span("payments", SERVER, version=version, at=HOUR + at, milliseconds=ms, error=error)
            for version, at, ms, error in (
                ("v1", 1000, 5, False),
                ("v1", 1030, 90, False),
                ("v2", 1040, 9, True),
                ("v2", 1050, 8, True),
            )
        )
        spans(engine, slow, newer)
        spans(engine, fast, failed)
        by_version = (await api.get("services/payments/golden-signals", by="version"))["series"]
        told = {s["group"]: (s["total"]["slowest_trace"], s["total"]["failed_trace"]) for s in by_version}
        assert told == {"v1": (slow.trace_id.hex(), None), "v2": (failed.trace_id.hex(), newer.trace_id.hex())}

    async def test_what_proxies_saw_names_no_other_trace_than_theirs(self, api: Api, engine: Engine) -> None:
        inbound = proxied(Span("payments", SERVER, at=HOUR + 1000, milliseconds=30), "inbound")
        alone = Span("payments", SERVER, at=HOUR + 1000, milliseconds=900, error=True)
        spans(engine, inbound, alone)
        (series,) = (await api.get("services/payments/golden-signals"))["series"]
        assert (series["total"]["calls"], series["total"]["slowest_trace"]) == (1, inbound.trace_id.hex())
        assert series["total"]["failed_trace"] is None

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
        assert body["step_s"] == 300
        assert (body["start"], body["end"]) == (rfc(HOUR - 3 * 86400), rfc(HOUR + 1800))
        assert points[0]["t"] == rfc(HOUR - 3 * 86400)
        assert len(points) == 3 * 288 + 6
        assert sum(point["rate"] > 0 for point in points) == 2

    @pytest.mark.parametrize(("hours", "grain"), [(1, 10), (3, 60), (30, 3600)])
    async def test_the_numbers_are_those_of_the_window_that_is_reported(
        self, api: Api, engine: Engine, hours: int, grain: int
    ) -> None:
        start, end = HOUR - hours * 3600 + 1234, HOUR + 1234
        for edge_of_window in (start, end):
            spans(engine, *(Span("payments", SERVER, at=edge_of_window + at, milliseconds=20) for at in range(-4000, 4000, 7)))
        window = {"start": rfc(start), "end": rfc(end)}
        body = await api.get("services/payments/golden-signals", **window, step="1h")
        first, last = start // grain * grain, min(HOUR + 1800, -(-end // grain) * grain)
        assert (body["start"], body["end"]) == (rfc(first), rfc(last))
        until = -(-last // grain) * grain
        counted = engine.query(
            "SELECT count() AS n FROM spans WHERE ts >= toDateTime({a:UInt32}) AND ts < toDateTime({b:UInt32})",
            {"a": int(first), "b": int(until)},
        )[0]["n"]
        (series,) = body["series"]
        assert series["total"]["calls"] == counted
        assert series["total"]["rate"] == pytest.approx(counted / (last - first))
        (row,) = (await api.get("services", **window))["services"]
        assert row["rate"] == series["total"]["rate"]
        fine = (await api.get("services/payments/golden-signals", **window, step=f"{hours * 20}s"))["series"][0]
        assert fine["total"] == series["total"]

    async def test_what_finer_rollups_keep_no_more_comes_from_coarser_ones(self, api: Api, engine: Engine) -> None:
        old = HOUR - 5 * 86400
        spans(engine, *(Span("payments", SERVER, at=old + n, milliseconds=40) for n in range(1800)))
        spans(engine, Span("payments", SERVER, at=HOUR))
        window = {"start": rfc(old), "end": rfc(old + 1800)}
        steps = []
        for table in ("golden_signals_1h", "golden_signals_10s", "golden_signals_1m"):
            engine.command(
                f"ALTER TABLE {table} DELETE WHERE ts < {{day:DateTime}} AND {{lost:Bool}} SETTINGS mutations_sync = 2",
                {"day": int(HOUR - 86400), "lost": table != "golden_signals_1h"},
            )
            body = await api.get("services/payments/golden-signals", **window)
            (series,) = body["series"]
            assert (series["total"]["calls"], series["total"]["p99_ms"]) == (1800, near(40))
            assert sum(point["rate"] for point in series["points"]) * body["step_s"] == 1800
            (row,) = (await api.get("services", **window))["services"]
            assert row["rate"] == series["total"]["rate"]
            steps.append((body["step_s"], body["end"]))
        assert steps == [(10, rfc(old + 1800)), (60, rfc(old + 1800)), (3600, rfc(old + 3600))]

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
