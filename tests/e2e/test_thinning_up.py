"""`meshscope up` thins what is old enough: lists say so, and whatever counts goes on counting every request."""

import random
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.fakes.processes import Meshscope, until
from tests.fakes.spans import request
from tests.fakes.thinned import trace

TRACES = 40


@pytest.mark.timeout(400)
def test_old_traces_go_and_counts_stay(start_meshscope: Callable[..., Meshscope], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(8)
    at = time.time() - 100 * 60  # its hour ended long ago, and edges of that minute are still found
    plain = [trace(rng, at + n) for n in range(TRACES)]
    kept = {"erred": trace(rng, at, error=True), "slow": trace(rng, at, ms=900), "rule": trace(rng, at, tier="gold")}
    first = start_meshscope().until_ready()
    body = request(span for spans in (*plain, *kept.values()) for span in spans)
    assert httpx.post(first.traces_url, content=body, headers={"content-type": "application/x-protobuf"}, timeout=60).is_success
    until("the edge", lambda: _edges(first).get(("shop", "bank")) == TRACES + 3)
    signals, everything = _signals(first), first.get("traces", start="now-3h", limit=100)
    assert (len(everything["traces"]), everything["thinned"]) == (TRACES + 3, None)
    assert first.stop() == 0

    monkeypatch.setenv("MESHSCOPE_THIN_TRACES_AFTER_HOURS", "0.1")
    monkeypatch.setenv("MESHSCOPE_THIN_TRACES_SHARE", "0")
    monkeypatch.setenv("MESHSCOPE_THIN_TRACES_EXCEPT", '[{"service": "shop", "attribute": "customer.tier=gold"}]')
    second = start_meshscope().until_ready()
    until("thinning", lambda: len(second.get("traces", start="now-3h", limit=100)["traces"]) == len(kept))
    listed = second.get("traces", start="now-3h", limit=100)
    assert {row["trace_id"] for row in listed["traces"]} == {spans[0].trace_id.hex() for spans in kept.values()}
    assert (listed["thinned"]["traces_seen"], listed["thinned"]["traces_kept"]) == (TRACES + 3, 3)
    for reason, spans in kept.items():
        told = second.get(f"traces/{spans[0].trace_id.hex()}")
        assert (told["kept_because"], len(told["spans"]), told["thinned"]) == ([reason], 4, False)
    gone = second.get(f"traces/{plain[0][0].trace_id.hex()}")
    assert (gone["spans"], gone["spans_seen"], gone["thinned"], gone["root_service"]) == ([], 4, True, "shop")
    assert _signals(second) == signals
    assert _edges(second)["shop", "bank"] == TRACES + 3


def _edges(meshscope: Meshscope) -> dict[tuple[str, str], int]:
    edges = meshscope.get("topology", start="now-3h")["edges"]
    return {(edge["source"], edge["destination"]): edge["calls"] for edge in edges}


def _signals(meshscope: Meshscope) -> dict[str, Any]:
    found = {}
    for service in ("shop", "bank"):
        (series,) = meshscope.get(f"services/{service}/golden-signals", start="now-3h")["series"]
        found[service] = {name: series["total"][name] for name in ("calls", "errors", "p50_ms", "p99_ms")}
    return found
