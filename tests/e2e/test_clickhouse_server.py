"""`meshscope up` with its telemetry on a ClickHouse server, which goes away and comes back under it."""

from collections.abc import Callable
from pathlib import Path

import httpx

from storage.telemetry.engine_clickhouse import open_server
from tests.fakes.clickhouse import ClickHouse
from tests.fakes.processes import Meshscope, until
from tests.fakes.spans import SERVER, Span, request

STORED = "SELECT count() AS spans, (SELECT sum(calls) FROM golden_signals_10s) AS calls FROM spans"


def test_what_is_answered_is_on_the_server_once(start_meshscope: Callable[..., Meshscope], tmp_path: Path) -> None:
    running = ClickHouse(tmp_path / "clickhouse").until_ready()
    try:
        up = start_meshscope(clickhouse_url=running.server.where).until_ready()
        assert _send(up) == 200
        until("the service being shown", lambda: [each["name"] for each in up.get("services")["services"]] == ["shop"])
        running.kill()
        until("not being ready", lambda: httpx.get(f"{up.url}/readyz").status_code == 503)
        running.again()
        running.until_ready()
        until("being ready again", lambda: httpx.get(f"{up.url}/readyz").is_success)
        assert _send(up) == 200
        engine = open_server(running.server)
        assert engine.query(STORED, {}) == [{"spans": 2, "calls": 2}]
        engine.close()
        assert up.stop() == 0, up.said()
    finally:
        running.kill()


def _send(up: Meshscope) -> int:
    body = request([Span("shop", SERVER)])
    return httpx.post(up.traces_url, content=body, headers={"content-type": "application/x-protobuf"}, timeout=60).status_code
