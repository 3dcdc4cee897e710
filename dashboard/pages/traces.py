"""The traces page: requests that fit a question, newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dash import Dash, Output, html, no_update

from dashboard import links, live
from dashboard.answers import AttributeRow, Thinned, TraceRow
from dashboard.api import QueryApi
from dashboard.components import fields, grids, parts, units

PATH = "/traces"
TITLE = "Traces"
DURATIONS = (
    ("", "Any duration"),
    ("50ms", "≥ 50 ms"),
    ("100ms", "≥ 100 ms"),
    ("250ms", "≥ 250 ms"),
    ("1s", "≥ 1 s"),
    ("5s", "≥ 5 s"),
)
LIMITS = (("20", "20"), ("50", "50"), ("100", "100"), ("200", "200"), ("500", "500"))
DEFAULT_LIMIT = "50"
SUGGESTED = "200"
_CUT = 128
"""How many characters of a value the API tells: one as long as this may be longer, and would find nothing."""
ANY = "__any__"
COLUMNS: list[dict[str, Any]] = [
    grids.column("started", "Started (UTC)", width=166, sort_by="start"),
    grids.column("request", "Request", link="href", flex=3, minWidth=200),
    grids.column("duration", "Duration", numeric=True, width=98, sort_by="duration_ms"),
    grids.column("bar", "", bar=True, width=86, sortable=False),
    grids.column("spans", "Spans", numeric=True, width=74),
    grids.column("errors", "Errors", numeric=True, width=80, mark="bad"),
    grids.column("services", "Services", flex=4, minWidth=140),
    grids.column("trace_id", "Trace", link="href", width=98, short=8),
]


def layout(service: str = "", error: str = "", min_duration: str = "", limit: str = "", attribute: str = "", **_: str) -> Any:
    """Return the page before its first answer."""
    bar = html.Div(
        [
            fields.choice("traces", "service", "Service", [(ANY, "All services")], service or ANY, searchable=True, w=190),
            fields.choice(
                "traces", "min_duration", "Duration", [(v or ANY, t) for v, t in DURATIONS], min_duration or ANY, w=140
            ),
            fields.pair("traces", "attribute", "Attribute", attribute, placeholder="name=value", w=230),
            fields.choice("traces", "limit", "Show at most", LIMITS, limit or DEFAULT_LIMIT, w=110),
            fields.toggle("traces", "error", "Only with errors", error == "true"),
            html.Div(id="traces-extra", className="chips"),
        ],
        className="fields filter-bar",
    )
    return html.Div(
        [
            parts.heading(TITLE, html.Span("Requests on their way through the mesh", id="traces-note")),
            *live.slots("traces"),
            bar,
            html.Div(id="traces-thinned", className="notices"),
            fields.defaults("traces", {"service": ANY, "min_duration": ANY, "limit": DEFAULT_LIMIT, "attribute": ""}),
            html.Div(
                [grids.grid("traces-grid", COLUMNS, row_id="trace_id"), html.Div(id="traces-empty")], className="panel grid-panel"
            ),
        ],
        className="page page-traces",
    )


def register(app: Dash, api: QueryApi) -> None:
    """Connect the page to the API."""

    async def answer(params: dict[str, str]) -> Sequence[Any]:
        since = links.since_of(params)
        limit = params.get("limit") or DEFAULT_LIMIT
        names = ("service", "version", "route", "min_duration", "max_duration", "error", "attribute")
        wanted = {name: params[name] for name in names if params.get(name)}
        found = await api.traces(since, limit=limit, **wanted)
        known = [row.name for row in (await api.services(since)).services]
        service = params.get("service", "")
        options = [(ANY, "All services"), *[(name, name) for name in sorted({*known, service} - {""})]]
        note = f"{units.count(len(found.traces), 'trace')} of the last {since}, newest first, {live.as_of(found.end)}"
        return [
            rows(found.traces, found.end),
            _empty(bool(known), since, found.thinned) if not found.traces else None,
            thinning(found.thinned),
            note,
            [{"value": value, "label": text} for value, text in options],
            _extra(params),
            # What there is to suggest changes slowly.
            no_update
            if live.is_tick()
            else suggestions((await api.attributes(since, service=service, limit=SUGGESTED)).attributes),
        ]

    outputs = [
        Output("traces-grid", "rowData"),
        Output("traces-empty", "children"),
        Output("traces-thinned", "children"),
        Output("traces-note", "children"),
        Output(fields.field_id("traces", "service"), "data"),
        Output("traces-extra", "children"),
        Output(fields.field_id("traces", "attribute"), "data"),
    ]
    live.fill(app, "traces", PATH, outputs, answer)
    fields.register(app, "traces", ["service", "min_duration", "limit"], ["error"], pairs=["attribute"])


def rows(traces: Sequence[TraceRow], now: datetime) -> list[dict[str, Any]]:
    """Return the rows of the table; what is shown and what is sorted by stand side by side."""
    longest = max((trace.duration_ms for trace in traces), default=0.0) or 1.0
    return [
        {
            "trace_id": trace.trace_id,
            "href": links.href("/trace", id=trace.trace_id),
            "started": f"{units.clock(trace.start)}  ·  {units.ago(trace.start, now)}",
            "start": trace.start.timestamp(),
            "request": f"{trace.root_service}  {trace.root_name}",
            "duration": units.duration(trace.duration_ms),
            "duration_ms": trace.duration_ms,
            "bar": round(trace.duration_ms / longest * 100, 1),
            "spans": trace.spans,
            "errors": trace.errors,
            "failed": trace.errors > 0,
            "services": ", ".join(trace.services),
        }
        for trace in traces
    ]


def suggestions(known: Sequence[AttributeRow]) -> list[str]:
    """Return what to suggest for a filter by attribute: all names, then the values of each."""
    names = [f"{each.name}=" for each in known]
    values = [f"{each.name}={value}" for each in known for value in each.values if 0 < len(value) < _CUT]
    return list(dict.fromkeys([*names, *values]))


def _extra(params: links.Params) -> list[Any]:
    """Return the filters that have no input, each with a way out."""
    names = (("version", "version"), ("route", "route"), ("max_duration", "at most"))
    return [
        html.A(
            [f"{word}: {params[name]}", parts.icon("close")],
            href=links.href(PATH, params, **{name: ""}),
            className="chip removable",
        )
        for name, word in names
        if params.get(name)
    ]


def thinning(thinned: Thinned | None) -> Any:
    """Return what a reader of the list must know: that traces are missing from it, and which."""
    if thinned is None:
        return None
    return parts.remark(
        f"Older traces are thinned: {units.whole(thinned.traces_kept)} of {units.count(thinned.traces_seen, 'trace')} "
        f"before {thinned.until:%Y-%m-%d %H:%M} UTC are kept.",
        "They failed, were slow for their route, match a rule or were drawn at random. "
        "Rates, latencies and the topology count every request.",
    )


def _empty(has_services: bool, since: str, thinned: Thinned | None) -> Any:
    if not has_services:
        return parts.no_telemetry()
    kept = "kept trace" if thinned else "trace"
    return parts.empty(f"No {kept} of the last {since} fits these filters", "Choose a longer time range or fewer filters.")
