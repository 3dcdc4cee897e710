"""Asks the API in this process, at a time that the test says."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from query_api.app import create_api
from storage.telemetry.engine import Engine
from tests.fakes.alert_reader import FakeAlertReader
from tests.fakes.filled_store import HOUR
from tests.fakes.manual_clock import ManualClock


class Api:
    """The API half an hour after HOUR."""

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


def rfc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def near(expected: float) -> Any:
    """Return what a quantilesDD(0.01) of known durations may be."""
    return pytest.approx(expected, rel=0.011)
