"""Spans of made-up payments: the same number always gives the same trace."""

import random
from datetime import UTC, datetime
from typing import Any


def rfc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def spans_of(number: int) -> list[dict[str, Any]]:
    rng = random.Random(number)
    begin = number * 3 + rng.random()
    bad = rng.random() < 0.18
    version = "v2" if rng.random() < 0.2 else "v1"
    spans: list[dict[str, Any]] = []

    def add(parent: str | None, depth: int, who: str, hop: str, name: str, kind: str, at: float, took: float, **more: Any) -> str:
        key = f"{rng.getrandbits(64):016x}"
        failed = more.pop("error", False)
        versions = {"payments": version, "accounts": "v3"}
        attributes = {
            "http.request.method": name.split()[0],
            "http.route": name.split()[-1],
            "http.response.status_code": 503 if failed else 200,
            **({"component": "proxy", "mesh.direction": hop} if hop != "app" else {}),
            **more,
        }
        spans.append(
            {
                "span_id": key,
                "parent_id": parent,
                "service": who,
                "version": versions.get(who, "v1"),
                "node": f"{who}-vn",
                "hop": hop,
            }
            | {"name": name, "kind": kind, "start": rfc(begin + at / 1000), "offset_ms": at, "duration_ms": round(took, 3)}
            | {"error": failed, "status_message": "no healthy upstream" if failed else "", "attributes": attributes}
            | {"resource": {"service.name": who, "service.instance.id": f"{who}-7d9f"}, "events": [], "depth": depth}
        )
        return key

    total = rng.uniform(9, 60) * (3 if bad else 1)
    pay = rng.random() < 0.6
    path = "/pay" if pay else "/accounts"
    verb = "POST" if pay else "GET"
    inbound = add(None, 0, "gateway", "inbound", f"{verb} {path}", "server", 0.0, total, error=bad and pay)
    app = add(inbound, 1, "gateway", "app", f"{verb} {path}", "server", 0.4, total - 0.8, error=bad and pay)

    def call(parent: str, depth: int, caller: str, callee: str, name: str, at: float, took: float, *, fail: bool = False) -> str:
        out = add(parent, depth, caller, "outbound", name, "client", at, took, error=fail, **{"peer.service": callee})
        into = add(out, depth + 1, callee, "inbound", name, "server", at + 0.3, took - 0.5, error=fail)
        return add(into, depth + 2, callee, "app", name, "server", at + 0.5, took - 0.9, error=fail)

    if not pay:
        acc = call(app, 2, "gateway", "accounts", "GET /accounts", 1.2, total * 0.8)
        call(acc, 5, "accounts", "ledger", "GET /balance", 2.5, total * 0.5)
        return spans
    pays = call(app, 2, "gateway", "payments", "POST /pay", 1.5, total * 0.9, fail=bad)
    call(pays, 5, "payments", "fraud", "POST /score", 3.0, total * 0.2)
    at = 3.6 + total * 0.2
    if bad:
        for attempt in range(2):
            more: dict[str, Any] = {"peer.service": "ledger", "error.type": "503", "response_flags": "URX"}
            more |= {"http.request.resend_count": attempt} if attempt else {}
            out = add(pays, 5, "payments", "outbound", "POST /entries", "client", at, total * 0.15, error=True, **more)
            add(out, 6, "ledger", "inbound", "POST /entries", "server", at + 0.3, total * 0.15 - 0.6, error=True)
            at += total * 0.2
        refused: dict[str, Any] = {"peer.service": "ledger", "error.type": "no_healthy_upstream", "response_flags": "UH"}
        add(pays, 5, "payments", "outbound", "POST /entries", "client", at, 0.02, error=True, **refused)
    else:
        book = call(pays, 5, "payments", "ledger", "POST /entries", at, total * 0.3)
        add(book, 8, "ledger", "app", "INSERT entries", "client", at + 1.0, total * 0.2, **{"db.system": "postgresql"})
        call(pays, 5, "payments", "notifications", "POST /notify", at + total * 0.32, total * 0.1)
    return spans
