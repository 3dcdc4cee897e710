"""Whatever is asked, the API answers as its own OpenAPI description says, and never with a server error."""

from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.openapi import from_asgi

from query_api.app import create_api
from storage.telemetry.engine import Engine
from tests.fakes.alert_reader import FakeAlertReader
from tests.fakes.filled_store import HOUR, edge, event, gauge, metrics, spans
from tests.fakes.manual_clock import ManualClock
from tests.fakes.spans import CLIENT, SERVER, Span

# That a window must start before it ends is more than a schema can say.
BEYOND_SCHEMAS = ["positive_data_acceptance"]
KNOWN = {"name": "payments", "trace_id": "aa" * 16}
PATHS = [
    "/v1/services/{name}/golden-signals",
    "/v1/services",
    "/v1/topology",
    "/v1/traces",
    "/v1/traces/{trace_id}",
    "/v1/mesh-events",
    "/v1/metrics",
    "/v1/attributes",
    "/v1/circuit-breakers",
    "/v1/alerts",
    "/v1/status",
]


@pytest.fixture
def described(engine: Engine) -> schemathesis.BaseSchema:
    root = Span("payments", SERVER, at=HOUR + 1000, trace_id=b"\xaa" * 16)
    spans(engine, root, Span("payments", CLIENT, root, at=HOUR + 1000))
    edge(engine, "payments", "ledger", minute=HOUR + 960, ms=[10])
    event(engine, "circuit_breaker", "opened", at=HOUR + 1000)
    metrics(engine, "payments", gauge("queue", 3, float("nan")))
    return from_asgi("/api/openapi.json", create_api(engine, FakeAlertReader(), ManualClock(HOUR + 1800)))


def test_every_path_is_tested(described: schemathesis.BaseSchema) -> None:
    assert [operation.ok().path for operation in described.get_all_operations()] == PATHS


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_as_described(described: schemathesis.BaseSchema, path: str) -> None:
    operation = described[path]["GET"]
    allowed = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    anything = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    answered: Counter[int] = Counter()

    @settings(max_examples=75, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(allowed, anything, allowed.map(_plausible)))
    def ask(case: schemathesis.Case) -> None:
        answer = case.call_and_validate(excluded_checks=CHECKS.get_by_names(BEYOND_SCHEMAS))
        answered[answer.status_code] += 1

    ask()
    assert answered[200]


def _plausible(case: schemathesis.Case) -> schemathesis.Case:
    """Ask about what there is: known names, the default window."""
    case.path_parameters = {name: KNOWN[name] for name in case.path_parameters or {}}
    case.query = {name: value for name, value in (case.query or {}).items() if name not in ("start", "end")}
    return case
