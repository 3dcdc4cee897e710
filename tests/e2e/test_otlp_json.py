"""OTLP as JSON is received as protobuf is, and answered in JSON."""

import gzip
import json
import secrets
import time

import httpx
import pytest

from tests.fakes.processes import Meshscope

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_json_is_stored(meshscope: Meshscope, packed: bool) -> None:
    trace_id, now = secrets.token_hex(16), time.time_ns()
    span = {"traceId": trace_id, "spanId": secrets.token_hex(8), "name": "GET /json", "kind": 2, "startTimeUnixNano": str(now)}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "json-shop"}}]}
    body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}).encode()
    headers = JSON | ({"content-encoding": "gzip"} if packed else {})
    answer = httpx.post(meshscope.traces_url, content=gzip.compress(body) if packed else body, headers=headers, timeout=30)
    assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (200, {}, "application/json")
    (stored,) = meshscope.get(f"traces/{trace_id}")["spans"]
    assert (stored["service"], stored["name"], stored["kind"]) == ("json-shop", "GET /json", "server")


def test_a_refusal_is_json_too(meshscope: Meshscope) -> None:
    answer = httpx.post(meshscope.traces_url, content=b'{"resourceSpans": 7}', headers=JSON, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["code"] == 3
    assert "resourceSpans" in answer.json()["message"]
