"""What the API answers about events that are known, and about the store."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from storage.telemetry.engine import Engine
from tests.fakes.asked_api import Api, rfc
from tests.fakes.filled_store import HOUR, event, spans
from tests.fakes.spans import SERVER, Span


@pytest.fixture
async def api(engine: Engine) -> AsyncIterator[Api]:
    api = Api(engine)
    async with api.client:
        yield api


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
