"""What the API answers about attributes that are known."""

import time
from collections.abc import AsyncIterator

import pytest

from storage.telemetry.bounds import fresh, note_attributes
from storage.telemetry.engine import Engine
from tests.fakes.asked_api import Api, rfc
from tests.fakes.filled_store import spans
from tests.fakes.spans import INTERNAL, SERVER, Span


@pytest.fixture
async def api(engine: Engine) -> AsyncIterator[Api]:
    api = Api(engine)
    async with api.client:
        yield api


def days() -> dict[str, str]:
    """Return a window of today and tomorrow, for midnight may come."""
    return {"start": rfc(int(time.time())), "end": rfc(int(time.time()) + 86_400)}


def note(engine: Engine) -> None:
    note_attributes(engine, fresh(engine, since=0))


async def test_each_name_once_with_how_often_and_what_it_reads_as(api: Api, engine: Engine) -> None:
    long, window = "x" * 200, days()
    given: list[dict[str, str | int | float | bool]] = [
        {"url.path": "/pay/1", "tier": "gold", "retries": 3, "beta": True, "note": long},
        {"url.path": "/pay/2", "tier": 7},
    ]
    spans(engine, *(Span("shop", SERVER, version="v7", at=time.time(), attributes=each) for each in given))
    spans(engine, Span("till", INTERNAL, at=time.time(), attributes={"tier": "gold"}))
    note(engine)
    answer = await api.get("attributes", **window)
    found = {(row["scope"], row["name"]): row for row in answer["attributes"]}
    told = {key: (round(row["share"] * 3), row["reads_as"], row["values"], row["services"]) for key, row in found.items()}
    assert told == {
        ("resource", "service.name"): (3, "text", ["shop", "till"], ["shop", "till"]),
        ("resource", "service.version"): (3, "text", ["", "v7"], ["shop", "till"]),
        ("span", "tier"): (3, "mixed", ["7", "gold"], ["shop", "till"]),
        ("span", "http.route"): (2, "text", ["/pay/{id}"], ["shop"]),
        ("span", "url.path"): (2, "text", ["/pay/1", "/pay/2"], ["shop"]),
        ("span", "retries"): (1, "number", ["3"], ["shop"]),
        ("span", "beta"): (1, "boolean", ["true"], ["shop"]),
        ("span", "note"): (1, "text", ["x" * 128], ["shop"]),
    }
    assert (answer["spans_looked_at"], answer["truncated"]) == (3, False)
    assert answer["start"].endswith("T00:00:00Z")
    assert answer["end"].endswith("T00:00:00Z")


async def test_filters(api: Api, engine: Engine) -> None:
    window = days()
    spans(engine, Span("shop", SERVER, attributes={"a": "1", "b": "2"}), Span("till", SERVER, attributes={"a": "3"}))
    note(engine)
    for wanted, found in (
        ({"service": "till", "scope": "span"}, [("a", 1.0, ["3"])]),
        ({"name": "a"}, [("a", 1.0, ["1", "3"])]),
        ({"name": "b"}, [("b", 0.5, ["2"])]),
        ({"name": "b", "service": "till"}, []),
        ({"scope": "span", "limit": "1"}, [("a", 1.0, ["1", "3"])]),
        ({"start": "now-5d", "end": "now-3d"}, []),
    ):
        answer = await api.get("attributes", **(window | wanted))
        assert [(row["name"], row["share"], row["values"]) for row in answer["attributes"]] == found
        assert answer["truncated"] == ("limit" in wanted)
