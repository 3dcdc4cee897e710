"""Golden signals by ten seconds, minute and hour say the same of the same requests."""

import random
from operator import itemgetter

import pytest

from storage.telemetry.engine import Engine
from storage.telemetry.questions import question
from tests.fakes.filled_store import HOUR, spans
from tests.fakes.spans import SERVER, Span, proxied

ROLLUPS = ("golden_signals_10s", "golden_signals_1m", "golden_signals_1h")


@pytest.mark.parametrize("by", ["", "version", "route", "zone"])
def test_every_rollup_gives_the_same_numbers_and_traces(engine: Engine, by: str) -> None:
    rng = random.Random(5)
    for _ in range(3):  # parts that are not merged yet
        sent = [
            Span(
                "payments",
                SERVER,
                name=rng.choice(("GET /pay", "GET /refund")),
                version=rng.choice(("v1", "v2")),
                zone=rng.choice(("", "eu-1a", "eu-1b")),
                error=rng.random() < 0.1,
                milliseconds=rng.lognormvariate(3, 1),
                at=HOUR - 3600 + rng.random() * 7200,
            )
            for _ in range(400)
        ]
        spans(engine, *sent[:300], *(proxied(span, "inbound") for span in sent[300:]), Span("ledger", SERVER, at=HOUR))
    asked = {"service": "payments", "from_s": int(HOUR - 3600), "to_s": int(HOUR + 3600), "by": by, "seconds": 7200.0, "limit": 9}
    totals = question("golden_signals_totals", *(["grouped"] if by else []))
    finest, minutes, hours = (sorted(engine.query(totals, asked | {"rollup": name}), key=itemgetter("hop")) for name in ROLLUPS)
    assert sum(row["calls"] for row in finest) == 1200
    assert {row["hop"] for row in finest} == {"inbound", "app"}
    # A failed trace is one of the newest grain.
    for rows in (finest, minutes, hours):
        for row in rows:
            assert row.pop("failed").strip(b"\0")
    assert minutes == finest
    assert hours == finest
    services = [
        engine.query(question("services"), {k: asked[k] for k in ("from_s", "to_s", "limit")} | {"rollup": name})
        for name in ROLLUPS
    ]
    for rows in services:
        for row in rows:
            del row["last_s"]
            row["versions"].sort()
    assert services[0] == services[1] == services[2]
    assert [(row["service"], row["hop"]) for row in services[0]] == [
        ("payments", "app"),
        ("payments", "inbound"),
        ("ledger", "app"),
    ]
