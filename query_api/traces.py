"""GET /traces and GET /traces/{trace_id}: single requests, from end to end."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Depends, Path, Query, Response
from opentelemetry.proto.trace.v1 import trace_pb2
from pydantic import JsonValue

from query_api.attribute_values import COLUMNS, otlp_attributes, read, resource_attributes, span_attributes
from query_api.coverage import SECOND_NS
from query_api.faults import InvalidParameter, NotFound
from query_api.parameters import MAX_LENGTH, PLAIN, Answer, Asked, Instant, Text, Windowed
from query_api.questions import Questions, Row
from query_api.rollups import HOUR_S
from query_api.times import Window, duration_ns, moment
from query_api.trace_tree import tree_order

MAX_TRACES = 1000
MAX_SPANS = 20_000
_FOREVER_NS = 2**63 - 1
_NO_PARENT = "0" * 16
_FIRST_LOOK_NS = 60_000_000_000
_SENDERS = ("service.instance.id", "cloud.availability_zone", "mesh.name", "mesh.virtual_node")
# In the order of the bits of kept_traces.why.
Reason = Literal["erred", "slow", "rule", "share"]
_REASONS: tuple[Reason, ...] = get_args(Reason)
Duration = Annotated[
    str,
    Query(
        max_length=64,
        pattern=PLAIN,
        description="Such as 250ms; units ns, us, ms, s, m, h, d.",
        json_schema_extra={"pattern": "^([0-9]{1,9}(\\.[0-9]{1,9})?(ns|us|ms|s|m|h|d))?$"},
    ),
]


class TraceRow(Answer):
    """One trace of a list; the root is unknown ("") as long as its span has not arrived."""

    trace_id: str
    start: Instant
    duration_ms: float
    root_service: str
    root_name: str
    services: list[str]
    spans: int
    errors: int


class Thinned(Answer):
    """How many traces of the hours up to ``until`` keep their spans: those that erred, were slow, fit a rule, or were drawn."""

    until: Instant
    traces_seen: int
    traces_kept: int


class Traces(Windowed):
    """Traces that keep their spans, newest first; ``thinned`` says that there were more, null that all are kept."""

    traces: list[TraceRow]
    thinned: Thinned | None


class SpanEvent(Answer):
    """Something that happened within a span; ``offset_ms`` counts from the start of the trace."""

    offset_ms: float
    name: str
    attributes: dict[str, JsonValue]


class SpanLink(Answer):
    """Another span that this one has to do with, as its sender says."""

    trace_id: str
    span_id: str
    trace_state: str
    attributes: dict[str, JsonValue]


class Span(Answer):
    """One span; ``offset_ms`` counts from the start of the trace, ``depth`` from its root.

    The values of attributes are text; arrays and key-value lists are JSON, bytes are base64.
    """

    span_id: str
    parent_id: str | None
    service: str
    version: str
    node: str
    hop: str
    name: str
    kind: str
    start: Instant
    offset_ms: float
    duration_ms: float
    error: bool
    status_message: str
    trace_state: str
    attributes: dict[str, JsonValue]
    resource: dict[str, JsonValue]
    events: list[SpanEvent]
    links: list[SpanLink]
    depth: int


class Trace(Answer):
    """A trace, its spans in tree order; ``truncated``: only its first 20,000, ``thinned``: not all are kept any more.

    ``spans_left_out`` came when the trace had all the spans that a trace may have, and were never stored.
    ``spans_seen``, ``errors``, the root and the duration are those of all spans that came.
    """

    trace_id: str
    start: Instant
    duration_ms: float
    root_service: str
    root_name: str
    services: list[str]
    spans_seen: int
    spans_left_out: int
    errors: int
    spans: list[Span]
    truncated: bool
    thinned: bool
    kept_because: list[Reason]


@dataclass(frozen=True, slots=True)
class Filter:
    """What a trace must be like; one span must fit service, version, route, attribute and error together."""

    service: Text = ""
    version: Text = ""
    route: Text = ""
    min_duration: Duration = ""
    max_duration: Duration = ""
    error: bool | None = None
    attribute: Annotated[
        str,
        Query(
            max_length=2 * MAX_LENGTH, pattern=PLAIN, description="Such as url.path=/pay/17: a name, and the value that it has."
        ),
    ] = ""

    def question(self) -> tuple[set[str], dict[str, Any]]:
        """Return which conditions matter (see traces.sql), and the parameters they have. Raises InvalidParameter."""
        least = duration_ns(self.min_duration, "min_duration") if self.min_duration else 0
        most = duration_ns(self.max_duration, "max_duration") if self.max_duration else _FOREVER_NS
        if least > most:
            raise InvalidParameter("min_duration must not be longer than max_duration.")
        name, equals, value = self.attribute.partition("=")
        if self.attribute and not (name and equals and value):
            raise InvalidParameter("attribute must be a name and a value, such as url.path=/pay/17.")
        matters = {
            "service": self.service,
            "version": self.version,
            "route": self.route,
            "duration": self.min_duration or self.max_duration,
            "error": self.error is True,
            "unfailed": self.error is False,
            _where(name): self.attribute,
        }
        asked = {"service": self.service, "version": self.version, "route": self.route, "min_ns": least, "max_ns": most}
        asked |= {"column": COLUMNS.get(name, ""), "attribute": name, "value": value}
        return {word for word, said in matters.items() if said}, asked


def _where(attribute: str) -> str:
    """Return which condition of traces.sql finds an attribute."""
    if attribute in COLUMNS:
        return "column"
    if attribute in _SENDERS:
        return "sender"
    return "http_status" if attribute == "http.response.status_code" else "attribute"


def router(ask: Questions, asked: Asked) -> APIRouter:
    """Return the routes of this resource."""
    routes = APIRouter()

    @routes.get("/traces")
    async def traces(
        window: Annotated[Window, Depends(asked.window)],
        wanted: Annotated[Filter, Depends(Filter)],
        limit: Annotated[int, Query(ge=1, le=MAX_TRACES)] = 50,
    ) -> Traces:
        """List traces with a span that starts in the window, newest first; durations are those of whole traces."""
        rows = await _newest(ask, window, limit, *wanted.question())
        thinned = await ask.ask("thinned", start_ns=window.start_ns, end_ns=window.end_ns)
        return Traces(start=window.start, end=window.end, traces=[_row(row) for row in rows], thinned=_thinned(thinned))

    @routes.get("/traces/{trace_id}", response_model=Trace)
    async def trace(
        trace_id: Annotated[str, Path(pattern="^[0-9a-fA-F]{32}$", description="32 hex digits.")],
    ) -> Response:
        """Show one trace with all of its spans that are kept; of one that was thinned, what is known without them."""
        trace_id = trace_id.lower()
        where = await ask.one("trace_bounds", trace_id=trace_id)
        if not where["spans"]:
            raise NotFound(f"No trace {trace_id} is known.")
        lies = {"start_ns": where["start_ns"], "end_ns": where["end_ns"]}
        rows = await ask.ask("trace_spans", trace_id=trace_id, **lies, limit=MAX_SPANS + 1)
        resources = await ask.ask("trace_resources", ids=sorted({row["resource_id"] for row in rows}))
        hours = {"from_s": where["start_ns"] // SECOND_NS - HOUR_S, "to_s": where["end_ns"] // SECOND_NS}
        kept = await ask.one("trace_kept_because", trace_id=trace_id, **hours)
        missing = await _missing(ask, lies | {"trace_id": trace_id}, where["spans"], len(rows))
        # Thousands of spans take a while to write down: not on the event loop.
        return Response(
            await asyncio.to_thread(_written, trace_id, where, rows, resources, kept["why"], missing),
            media_type="application/json",
        )

    return routes


async def _missing(ask: Questions, lies: dict[str, Any], seen: int, read: int) -> tuple[int, int]:
    """Return how many spans of a trace were left out when they came, and how many went since."""
    if read == seen:
        return 0, 0
    found = await ask.one("trace_left_out", **lies)
    left_out = max(0, seen - max(found["stored"], found["full_at"])) if found["full_at"] else 0
    return left_out, max(0, seen - left_out - found["stored"])


async def _newest(ask: Questions, window: Window, limit: int, matters: set[str], wanted: dict[str, Any]) -> list[Row]:
    # The end of the window is looked at first, then 16 times as much: the newest are found without reading all the others.
    # A trace that started within that end has all of its spans there, so that none newer can be missing.
    length = _FIRST_LOOK_NS
    while True:
        start_ns = max(window.start_ns, window.end_ns - length)
        whole = start_ns == window.start_ns
        looked_at = {"start_ns": start_ns, "end_ns": window.end_ns, "sure_from_ns": 0 if whole else start_ns}
        rows = await ask.ask("traces", *sorted(matters), **looked_at, limit=limit, **wanted)
        if whole or len(rows) >= limit:
            return rows
        length *= 16


def _row(row: Row) -> TraceRow:
    told = {"start": moment(row["start_ns"]), "duration_ms": row["duration_ns"] / 1e6, "services": sorted(row["services"])}
    return TraceRow.model_validate({**row, **told})


def _thinned(rows: list[Row]) -> Thinned | None:
    return Thinned.model_validate({**rows[0], "until": rows[0]["until_s"]}) if rows else None


def _written(trace_id: str, where: Row, rows: list[Row], resources: list[Row], why: int, missing: tuple[int, int]) -> str:
    senders = {each["id"]: resource_attributes(each) for each in resources}
    spans = [{**row, "span_id": row["ids"][:8].hex(), "parent_id": row["ids"][8:].hex()} for row in rows[:MAX_SPANS]]
    told = Trace(
        trace_id=trace_id,
        start=moment(where["start_ns"]),
        duration_ms=(where["end_ns"] - where["start_ns"]) / 1e6,
        root_service=where["root_service"],
        root_name=where["root_name"],
        services=sorted(where["services"]),
        spans_seen=where["spans"],
        spans_left_out=missing[0],
        errors=where["errors"],
        spans=[_span(row, depth, where["start_ns"], senders) for row, depth in tree_order(spans)],
        truncated=len(rows) > MAX_SPANS,
        thinned=missing[1] > 0,
        kept_because=[reason for bit, reason in enumerate(_REASONS) if why >> bit & 1],
    )
    return told.model_dump_json()


def _span(row: Row, depth: int, start_ns: int, senders: dict[int, dict[str, JsonValue]]) -> Span:
    resource = senders.get(row["resource_id"], {})
    told = {
        "node": resource.get("mesh.virtual_node", ""),
        "depth": depth,
        "parent_id": None if row["parent_id"] == _NO_PARENT else row["parent_id"],
        "start": moment(row["start_ns"]),
        "offset_ms": (row["start_ns"] - start_ns) / 1e6,
        "duration_ms": row["duration_ns"] / 1e6,
        "attributes": span_attributes(row),
        "resource": resource,
        "events": [_event(encoded, start_ns) for encoded in row["events"]],
        "links": [_link(encoded) for encoded in row["links"]],
    }
    return Span.model_validate({**row, **told})


def _event(encoded: str, start_ns: int) -> SpanEvent:
    event = read(trace_pb2.Span.Event, encoded)
    return SpanEvent(
        offset_ms=(event.time_unix_nano - start_ns) / 1e6, name=event.name, attributes=otlp_attributes(event.attributes)
    )


def _link(encoded: str) -> SpanLink:
    link = read(trace_pb2.Span.Link, encoded)
    return SpanLink(
        trace_id=link.trace_id.hex(),
        span_id=link.span_id.hex(),
        trace_state=link.trace_state,
        attributes=otlp_attributes(link.attributes),
    )
