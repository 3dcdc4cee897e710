"""What the API answers when it is asked badly, or when what stands behind it does not answer."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from query_api.app import create_api, install
from query_api.faults import TooMuchAsked
from query_api.questions import Questions
from storage.state.alert_store import AlertRecord, AlertState, Delivery, DeliveryStatus
from storage.state.database import StateUnavailable
from storage.telemetry.engine import Engine, StoreUnavailable
from tests.fakes.alert_reader import FakeAlertReader
from tests.fakes.filled_store import HOUR, spans
from tests.fakes.manual_clock import ManualClock
from tests.fakes.spans import SERVER, Span

ENDPOINTS = (
    "services",
    "topology",
    "services/payments/golden-signals",
    "traces",
    "mesh-events",
    "circuit-breakers",
)
SECRETIVE = ("Traceback", "SELECT", "DB::Exception", "site-packages")


class BrokenEngine:
    """An engine that fails as it is told."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        raise self.error

    def insert(self, signal: str, requests: Sequence[bytes], token: str) -> None: ...

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None: ...

    def close(self) -> None: ...


class SlowEngine(BrokenEngine):
    """An engine that answers when it is let go."""

    def __init__(self) -> None:
        super().__init__(AssertionError())
        self.go = threading.Event()

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        assert self.go.wait(30)
        return [{"migrations": 4}]


def client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://meshscope")


def api(engine: Engine, alerts: FakeAlertReader | None = None) -> httpx.AsyncClient:
    return client(create_api(engine, alerts or FakeAlertReader(), ManualClock(HOUR + 1800)))


def problem(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body.keys() == {"type", "title", "status", "detail", "code"}
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:meshscope:problem:{code}")
    assert not [word for word in SECRETIVE if word in answer.text]
    return str(body["detail"])


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    "query",
    [
        "start=yesterday",
        "end=",
        "start=now&end=now-1h",
        "start=now-99d",
        "end=9999-01-01T00:00:00Z",
        "start=%00",
        "start=now%2B1m",
    ],
)
async def test_bad_times(engine: Engine, path: str, query: str) -> None:
    answer = await api(engine).get(f"/api/v1/{path}?{query}")
    code = "invalid_parameter" if "%00" in query else "invalid_time"
    problem(answer, 400, code)


@pytest.mark.parametrize(
    "path",
    [
        "traces?limit=0",
        "traces?limit=1001",
        "traces?limit=ten",
        "traces?limit=1e99",
        "traces?limit=99999999999999999999999",
        "traces?error=maybe",
        "traces?attribute=url.path",
        "traces?attribute==x",
        "traces?min_duration=fast",
        "traces?min_duration=2s&max_duration=1s",
        "traces?service=a%00b",
        "traces?service=a%0ab",
        "traces?service=" + "x" * 60_000,
        "traces?route=" + "%27" * 1000,
        "mesh-events?limit=-1",
        "mesh-events?limit=2001",
        "mesh-events?type=a%00",
        "topology?by=everything",
        "services/payments/golden-signals?by=instance",
        "services/payments/golden-signals?step=0s",
        "services/payments/golden-signals?step=fast",
        "services/a%00b/golden-signals",
        "services/" + "x" * 60_000 + "/golden-signals",
        "services?servise=payments",
        "alerts?limit=1",
        "status?verbose=1",
    ],
)
async def test_bad_parameters(engine: Engine, path: str) -> None:
    detail = problem(await api(engine).get(f"/api/v1/{path}"), 400, "invalid_parameter")
    assert 0 < len(detail) < 1000


async def test_a_megabyte_in_a_parameter(engine: Engine) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/v1/traces",
        "query_string": b"service=" + b"x" * 1_000_000,
        "headers": [],
    }
    await create_api(engine, FakeAlertReader(), ManualClock())(scope, receive, send)
    assert sent[0]["status"] == 400
    assert len(sent[1]["body"]) < 1000


@pytest.mark.parametrize(
    "evil",
    ["' OR 1=1 --", "\\", "\\'", "{service:String}", 'x"; DROP TABLE spans; --', "%(x)s", "\ud7ff\uffff", "💥", "\\N", "$$"],
)
async def test_text_stays_text(engine: Engine, evil: str) -> None:
    spans(engine, Span("payments", SERVER, at=HOUR + 1000))
    asking = api(engine)
    traces = await asking.get("/api/v1/traces", params={"service": evil, "route": evil, "version": evil})
    events = await asking.get("/api/v1/mesh-events", params={"type": evil, "action": evil, "source": evil, "destination": evil})
    assert (traces.status_code, traces.json()["traces"], events.status_code, events.json()["events"]) == (200, [], 200, [])
    spans(engine, Span(evil, SERVER, at=HOUR + 1000))
    found = await asking.get("/api/v1/traces", params={"service": evil})
    assert [row["services"] for row in found.json()["traces"]] == [[evil]]
    assert engine.query("SELECT count() AS n FROM spans", {}) == [{"n": 2}]


async def test_paths_and_methods_that_are_not_there(engine: Engine) -> None:
    asking = api(engine)
    for path in ("/api/v1/nothing", "/api/v2/services", "/api/v1/", "/api/", "/api/v1/services/x", "/api/v1/services/"):
        problem(await asking.get(path, follow_redirects=False), 404, "not_found")
    answer = await asking.post("/api/v1/services", json={})
    assert "reads" in problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize("path", [*ENDPOINTS, "traces/" + "a" * 32, "status"])
async def test_a_store_that_does_not_answer(path: str) -> None:
    broken = BrokenEngine(StoreUnavailable("ClickHouse refused: Code: 1. DB::Exception: SELECT secret"))
    answer = await api(broken).get(f"/api/v1/{path}")
    problem(answer, 503, "store_unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_an_error_that_nobody_foresaw_tells_nothing() -> None:
    answer = await api(BrokenEngine(RuntimeError("Traceback: SELECT secret"))).get("/api/v1/services")
    problem(answer, 500, "internal")


async def test_health_is_of_the_process_and_readiness_of_the_store(engine: Engine) -> None:
    working, broken = api(engine), api(BrokenEngine(StoreUnavailable("no")))
    assert [(await asked.get("/healthz")).json() for asked in (working, broken)] == [{"status": "ok"}] * 2
    assert (await working.get("/readyz")).json() == {"status": "ready"}
    problem(await broken.get("/readyz"), 503, "store_unavailable")


async def test_more_questions_than_may_wait_are_refused() -> None:
    slow = SlowEngine()
    ask = Questions(slow, waiting=0)
    with pytest.raises(Exception, match="busy") as refused:
        await ask.ask("alive")
    assert getattr(refused.value, "code", "") == "too_many_questions"
    slow.go.set()
    assert await Questions(slow, waiting=1).ask("alive") == [{"migrations": 4}]


async def test_a_question_may_not_take_for_ever(engine: Engine) -> None:
    spans(engine, *(Span("payments", SERVER, at=HOUR + 1000) for _ in range(1000)))
    with pytest.raises(TooMuchAsked, match="shorter"):
        await Questions(engine, memory=1000).ask(
            "traces",
            start_ns=0,
            end_ns=2**62,
            sure_from_ns=0,
            service="",
            version="",
            route="",
            error="",
            attribute="",
            value="",
            min_ns=0,
            max_ns=2**62,
            limit=10,
        )


class TestAlerts:
    async def test_alerts_and_deliveries(self, engine: Engine) -> None:
        alert = AlertRecord(
            rule="PaymentsErrors",
            fingerprint="00c0ffee",
            labels={"service": "payments"},
            state=AlertState.FIRING,
            value=0.25,
            threshold=0.05,
            active_since=100.0,
            updated_at=130.5,
            annotations={"summary": "25 % fail"},
            fired_at=130.0,
        )
        sent = Delivery(
            id="msg_1",
            rule="PaymentsErrors",
            fingerprints=("00c0ffee",),
            webhook="ops",
            payload='{"secret": 1}',
            status=DeliveryStatus.PENDING,
            attempts=2,
            next_attempt_at=140.0,
            last_error="503",
            created_at=131.0,
            at=135.0,
        )
        answer = await api(engine, FakeAlertReader([alert], [sent])).get("/api/v1/alerts")
        assert answer.json() == {
            "alerts": [
                {
                    "rule": "PaymentsErrors",
                    "fingerprint": "00c0ffee",
                    "state": "firing",
                    "labels": {"service": "payments"},
                    "annotations": {"summary": "25 % fail"},
                    "value": 0.25,
                    "threshold": 0.05,
                    "active_since": "1970-01-01T00:01:40Z",
                    "fired_at": "1970-01-01T00:02:10Z",
                    "resolved_at": None,
                    "updated_at": "1970-01-01T00:02:10.500000Z",
                }
            ],
            "deliveries": [
                {
                    "id": "msg_1",
                    "rule": "PaymentsErrors",
                    "status": "pending",
                    "attempts": 2,
                    "webhook": "ops",
                    "last_error": "503",
                    "at": "1970-01-01T00:02:15Z",
                }
            ],
        }

    async def test_a_state_database_that_does_not_answer(self, engine: Engine) -> None:
        answer = await api(engine, FakeAlertReader(fault=StateUnavailable("SELECT secret"))).get("/api/v1/alerts")
        problem(answer, 503, "state_unavailable")


async def test_it_stands_in_front_of_an_application_that_answers_everything(engine: Engine) -> None:
    app = FastAPI()

    @app.get("/{path:path}")
    async def page(path: str) -> str:
        return f"page {path}"

    install(app, engine, FakeAlertReader(), ManualClock(HOUR + 1800))
    asking = client(app)
    assert (await asking.get("/api/v1/services")).json()["services"] == []
    problem(await asking.get("/api/v1/nothing"), 404, "not_found")
    assert (await asking.get("/readyz")).json() == {"status": "ready"}
    assert (await asking.get("/somewhere")).json() == "page somewhere"
    assert (await asking.post("/somewhere")).headers["content-type"] == "application/json"  # its errors stay its own
    paths = (await asking.get("/api/openapi.json")).json()["paths"]
    assert "/v1/topology" in paths
    assert not [path for path in paths if not path.startswith("/v1/")]  # what the application answers is not the API's
