"""A query API that makes up a small fintech mesh: what the dashboard shows when nothing real runs.

The numbers move with the clock. ``Mood`` changes what is answered: nothing, errors, hostile names.
"""

import hashlib
import math
import re
import time
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from tests.fakes.made_up_alerts import alerts_of, deliveries_of
from tests.fakes.made_up_circuit import events_of, intervals_of, outage
from tests.fakes.made_up_hops import exemplars, hops_of
from tests.fakes.made_up_spans import rfc, spans_of

HOSTILE = "<img src=x onerror=alert(1)>"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SERVICES: dict[str, tuple[list[str], float, float, float]] = {
    # versions, rate, error rate, p50
    "gateway": (["v1"], 84.0, 0.011, 22.0),
    "accounts": (["v3"], 51.0, 0.0006, 6.1),
    "payments": (["v1", "v2"], 29.0, 0.021, 17.5),
    "fraud": (["v1"], 28.4, 0.0, 4.4),
    "ledger": (["v1"], 41.0, 0.082, 9.3),
    "notifications": (["v1"], 12.0, 0.0, 2.2),
}
EDGES = [
    ("external", "gateway", 84.0, 0.011, 22.0),
    ("gateway", "accounts", 51.0, 0.0006, 6.4),
    ("gateway", "payments", 29.0, 0.021, 18.1),
    ("payments", "fraud", 28.4, 0.0, 4.9),
    ("payments", "ledger", 27.0, 0.094, 9.9),
    ("payments", "notifications", 12.0, 0.0, 2.6),
    ("accounts", "ledger", 14.0, 0.031, 8.8),
    ("ledger", "postgres", 40.2, 0.0, 1.4),
]


@dataclass
class Mood:
    """What the API is like at the moment; tests change it."""

    empty: bool = False
    broken: bool = False
    hostile: bool = False
    thinned: bool = False


class Problem(Exception):
    def __init__(self, status: int, title: str, detail: str, code: str) -> None:
        super().__init__(detail)
        self.status, self.body = status, {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}


def seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if not found:
        raise Problem(400, "Invalid time", f"{text!r} is not a duration such as 15m", "invalid_time")
    return int(found[1]) * UNITS[found[2]]


def window(start: str) -> tuple[float, float]:
    now = time.time()
    return now - seconds(start.removeprefix("now-")), now


def wobble(key: str, moment: float, size: float = 0.12) -> float:
    phase = int(hashlib.sha1(key.encode()).hexdigest()[:4], 16) / 65536 * math.tau
    return 1 + size * math.sin(moment / 97 + phase) + size / 2 * math.sin(moment / 13 + 2 * phase)


def times(p50: float, moment: float, key: str) -> dict[str, float]:
    now = p50 * wobble(key + "l", moment, 0.1)
    return {
        "p50_ms": round(now, 2),
        "p95_ms": round(now * 2.9, 2),
        "p99_ms": round(now * 5.2 * wobble(key + "t", moment, 0.2), 2),
    }


class FakeQueryApi:
    def __init__(self, mood: Mood | None = None) -> None:
        self.mood = mood or Mood()
        self.app = FastAPI()
        self.app.add_exception_handler(Problem, self._problem)
        for path in ("services", "topology", "traces", "mesh-events", "circuit-breakers", "alerts", "attributes"):
            self.app.add_api_route(f"/api/v1/{path}", getattr(self, path.replace("-", "_")))
        self.app.add_api_route("/api/v1/services/{name:path}/golden-signals", self.golden_signals)
        self.app.add_api_route("/api/v1/traces/{trace_id}", self.trace)

    async def _problem(self, _request: Request, problem: Exception) -> JSONResponse:
        assert isinstance(problem, Problem)
        return JSONResponse(problem.body, problem.status, media_type="application/problem+json")

    def _begin(self, start: str = "now-15m") -> tuple[float, float, dict[str, Any]]:
        if self.mood.broken:
            raise Problem(
                503, "The store is not available", "The telemetry store did not answer; it may be starting.", "store_unavailable"
            )
        since, now = window(start)
        return since, now, {"start": rfc(since), "end": rfc(now)}

    def _names(self) -> dict[str, tuple[list[str], float, float, float]]:
        if self.mood.empty:
            return {}
        return SERVICES | ({HOSTILE: (["<b>v1</b>"], 3.0, 0.2, 5.0)} if self.mood.hostile else {})

    def _row(self, name: str, now: float) -> dict[str, Any]:
        versions, rate, errors, p50 = self._names()[name]
        return {
            "versions": versions,
            "rate": round(rate * wobble(name, now), 2),
            "error_rate": errors * wobble(name + "e", now, 0.3),
            **times(p50, now, name),
        }

    async def services(self, start: str = "now-15m") -> dict[str, Any]:
        _, now, body = self._begin(start)
        rows = [{"name": name, **self._row(name, now), "last_seen": rfc(now - 2)} for name in self._names()]
        return body | {"services": rows}

    async def topology(self, start: str = "now-15m") -> dict[str, Any]:
        _, now, body = self._begin(start)
        if self.mood.empty:
            return body | {"nodes": [], "edges": []}
        nodes = [{"id": name, "kind": "service", **self._row(name, now)} for name in self._names()]
        unknown = {"versions": [], "rate": 84.0, "error_rate": 0.0, "p50_ms": None, "p95_ms": None, "p99_ms": None}
        nodes += [{"id": "external", "kind": "external", **unknown}, {"id": "postgres", "kind": "peer", **unknown}]
        known = EDGES + ([("gateway", HOSTILE, 3.0, 0.2, 5.0)] if self.mood.hostile else [])
        edges = []
        for source, destination, rate, errors, p50 in known:
            key = source + destination
            moving = rate * wobble(key, now)
            calls = int(moving * seconds(start.removeprefix("now-")))
            state = (
                outage(now) if (source, destination) == ("payments", "ledger") else "closed" if source != "external" else "none"
            )
            ratio = min(1.0, errors * wobble(key + "e", now, 0.3) * (4 if state == "open" else 1))
            edges.append(
                {
                    "source": source,
                    "destination": destination,
                    "calls": calls,
                    "errors": int(calls * ratio),
                    "rate": round(moving, 2),
                }
                | {"error_rate": ratio, "retries": int(calls * ratio * 0.7), "paired": calls, "breaker_state": state}
                | times(p50, now, key)
                | {"hops": hops_of(source, destination, p50), **exemplars(ratio, now)}
            )
        return body | {"nodes": nodes, "edges": edges}

    async def golden_signals(self, name: str, start: str = "now-15m", step: str = "10s", by: str = "") -> dict[str, Any]:
        since, now, body = self._begin(start)
        if name not in self._names():
            raise Problem(404, "No such service", f"No telemetry of a service named {name!r} in this time range.", "not_found")
        versions, rate, errors, p50 = self._names()[name]
        groups: list[tuple[str, float, float, float]] = [("", 1.0, 1.0, 1.0)]
        if by == "version":
            groups = [
                (v, (0.82, 0.18)[i] if len(versions) > 1 else 1.0, (0.7, 2.3)[i], (1.0, 1.46)[i]) for i, v in enumerate(versions)
            ]
        if by == "route":
            groups = [(f"/{name}", 0.7, 0.9, 1.1), ("/health", 0.2, 0.0, 0.2), (f"/{name}/search", 0.1, 2.0, 2.4)]
        if by == "zone":
            groups = [("eu-central-1a", 0.6, 1.0, 1.0), ("eu-central-1b", 0.4, 1.0, 1.1)]
        length = seconds(step)
        series = []
        for group, share, worse, slower in groups:
            points = []
            moment = since // length * length
            while moment < now:
                key = name + group
                r = rate * share * wobble(key, moment, 0.2)
                e = (
                    errors
                    * worse
                    * max(0.0, wobble(key + "e", moment, 0.7))
                    * (5 if outage(moment) == "open" and errors > 0.02 else 1)
                )
                found = times(p50 * slower, moment, key)
                points.append(
                    {"t": rfc(moment), "rate": round(r, 3), "error_rate": min(1, e), **found}
                    | {"in_flight": round(r * found["p50_ms"] / 600, 3)}
                )
                moment += length
            mean = sum(p["rate"] for p in points) / len(points)
            calls = int(mean * (now - since))
            ratio = sum(p["error_rate"] for p in points) / len(points)
            total = {
                "calls": calls,
                "errors": int(calls * ratio),
                "rate": mean,
                "error_rate": ratio,
                **times(p50 * slower, now, name + group),
                **exemplars(ratio, now),
            }
            series.append({"group": group, "points": points, "total": total})
        return body | {"service": name, "step_s": length, "series": series}

    async def attributes(self, start: str = "now-15m", service: str = "", scope: str = "", limit: int = 1000) -> dict[str, Any]:
        _, _, body = self._begin(start)
        known = {"http.route": ["/accounts", "/pay"], "db.system": ["postgresql"], "peer.service": ["fraud", "ledger"]}
        name = HOSTILE if self.mood.hostile else ""
        rows = [{"name": key, "values": values} for key, values in (known | ({name: [name]} if name else {})).items()]
        return body | {"attributes": [] if self.mood.empty else rows[:limit]}

    async def traces(
        self,
        start: str = "now-15m",
        service: str = "",
        error: bool = False,
        min_duration: str = "0ms",
        limit: int = 50,
        attribute: str = "",
    ) -> dict[str, Any]:
        since, now, body = self._begin(start)
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)", min_duration)
        if not found:
            raise Problem(
                400, "Invalid parameter", f"min_duration {min_duration!r} is not a duration such as 250ms", "invalid_parameter"
            )
        least = float(found[1]) * (1000 if found[2] == "s" else 1)
        rows = []
        number = int(now / 3)
        while not self.mood.empty and number * 3 > since and len(rows) < limit:
            row = self._summary(number)
            fits = not attribute or any(attribute == f"{k}={v}" for s in spans_of(number) for k, v in s["attributes"].items())
            if (
                fits
                and (not service or service in row["services"])
                and (not error or row["errors"])
                and row["duration_ms"] >= least
            ):
                rows.append(row)
            number -= 1
        until = {"until": rfc(now // 3600 * 3600), "traces_seen": 31_775, "traces_kept": 3_155}
        return body | {"traces": rows, "thinned": until if self.mood.thinned else None}

    def _summary(self, number: int) -> dict[str, Any]:
        spans = spans_of(number)
        root = spans[0]
        services = list(dict.fromkeys(s["service"] for s in spans))
        name = HOSTILE if self.mood.hostile else root["name"]
        return {
            "trace_id": f"{number:032x}",
            "start": root["start"],
            "duration_ms": root["duration_ms"],
            "root_service": root["service"],
            "root_name": name,
            "services": services,
            "spans": len(spans),
            "errors": sum(1 for s in spans if s["error"]),
        }

    async def trace(self, trace_id: str) -> dict[str, Any]:
        self._begin()
        if not re.fullmatch(r"[0-9a-f]{32}", trace_id):
            raise Problem(400, "Invalid parameter", "A trace id is 32 hex digits.", "invalid_parameter")
        number = int(trace_id, 16)
        if number > time.time():
            raise Problem(404, "No such trace", f"No spans of trace {trace_id} are stored.", "not_found")
        spans = spans_of(number)
        summary = self._summary(number)
        # Of thinned ones, every third has lost all spans, every third some of them, and every third stays for a reason.
        lost = number % 3 if self.mood.thinned else 2
        kept = [[], spans[-1:], spans][lost]
        about = {k: summary[k] for k in ("trace_id", "start", "duration_ms", "root_service", "root_name", "services", "errors")}
        about |= {"spans_seen": len(spans), "spans_left_out": 0, "thinned": len(kept) < len(spans)}
        return about | {"spans": kept, "kept_because": ["erred", "slow"] if self.mood.thinned and lost == 2 else []}

    async def mesh_events(
        self, start: str = "now-15m", source: str = "", destination: str = "", type: str = "", action: str = "", limit: int = 200
    ) -> dict[str, Any]:
        since, now, body = self._begin(start)
        destined = HOSTILE if self.mood.hostile else "ledger"
        events = [] if self.mood.empty else events_of(since, now, destined)
        fits = [
            e
            for e in sorted(events, key=lambda e: -float(e["moment"]))
            if since <= e["moment"] <= now
            and (not source or e["source"] == source)
            and (not destination or e["destination"] == destination)
            and (not type or e["type"] == type)
            and (not action or e["action"] == action)
        ]
        return body | {"events": [{k: v for k, v in e.items() if k != "moment"} for e in fits[:limit]]}

    async def circuit_breakers(self, start: str = "now-15m") -> dict[str, Any]:
        since, now, body = self._begin(start)
        if self.mood.empty:
            return body | {"edges": []}
        edges = []
        for source, destination, *_ in EDGES[1:7]:
            failing = (source, destination) == ("payments", "ledger")
            intervals = intervals_of(since, now) if failing else [{"state": "closed", "start": rfc(since), "end": rfc(now)}]
            shown = HOSTILE if self.mood.hostile else destination
            edges.append(
                {
                    "source": source,
                    "destination": shown,
                    "target": f"{destination}-v1",
                    "state": intervals[-1]["state"],
                    "intervals": intervals,
                }
            )
        return body | {"edges": edges}

    async def alerts(self) -> dict[str, Any]:
        self._begin()
        now = time.time()
        if self.mood.empty:
            return {"alerts": [], "deliveries": []}
        return {"alerts": alerts_of(HOSTILE if self.mood.hostile else "ledger", now), "deliveries": deliveries_of(now)}
