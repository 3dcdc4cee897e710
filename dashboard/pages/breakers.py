"""The circuit breakers page: their states over time, and what proxies decided lately."""

import asyncio
from collections.abc import Sequence
from typing import Any

from dash import Dash, Output, dcc, html

from dashboard import links, live
from dashboard.answers import BreakerEdge, MeshEvent
from dashboard.api import QueryApi
from dashboard.components import events, fields, grids, parts, units
from dashboard.figures import charts, timeline

PATH = "/breakers"
TITLE = "Circuit breakers"
ANY = "__any__"
TYPES = ((ANY, "All events"), ("circuit_breaker", "Circuits"), ("outlier_detection", "Endpoints"), ("config", "Configuration"))
COLUMNS: list[dict[str, Any]] = [
    grids.column("when", "When (UTC)", width=168, sort_by="at"),
    grids.column("event", "Event", badge="tone", width=176),
    grids.column("way", "Between", flex=3, minWidth=170),
    grids.column("endpoint", "Endpoint", flex=2, minWidth=120),
    grids.column("reason", "Reason", flex=2, minWidth=140),
    grids.column("numbers", "Numbers", flex=2, minWidth=110),
    grids.column("trace", "Trace", link="href", width=98, short=8),
]


def layout(service: str = "", type: str = "", **_: str) -> Any:
    """Return the page before its first answer."""
    picker = fields.choice(
        "breakers", "service", "Service", [(ANY, "All services")], service or ANY, quiet=True, searchable=True, w=200
    )
    kinds = fields.choice("breakers", "type", "Kind of event", TYPES, type or ANY, quiet=True, w=150)
    graph = dcc.Graph(
        id="breakers-timeline",
        figure=charts.blank(),
        config={"displayModeBar": False, "responsive": True},
        responsive=True,
        style={"height": "180px"},
    )
    body = html.Div([html.Div(graph, id="breakers-picture"), html.Div(id="breakers-empty")])
    return html.Div(
        [
            parts.heading(TITLE, html.Span("As the proxies see them", id="breakers-note"), picker),
            *live.slots("breakers"),
            fields.defaults("breakers", {"service": ANY, "type": ANY}),
            html.Div(parts.skeleton_tiles(4), id="breakers-tiles"),
            parts.panel("States over time", body, classes="flush timeline-panel"),
            html.Section(
                [
                    html.Div(
                        [
                            html.H2("Mesh events"),
                            html.Div("newest first", className="panel-note"),
                            html.Div(kinds, className="panel-actions"),
                        ],
                        className="panel-head",
                    ),
                    grids.grid("breakers-events", COLUMNS, row_id="key"),
                    html.Div(id="breakers-no-events"),
                ],
                className="panel grid-panel",
            ),
        ],
        className="page page-breakers",
    )


def register(app: Dash, api: QueryApi) -> None:
    """Connect the page to the API."""

    async def answer(params: dict[str, str]) -> Sequence[Any]:
        since = links.since_of(params)
        service, kind = params.get("service", ""), params.get("type", "")
        found, told = await asyncio.gather(api.circuit_breakers(since), api.mesh_events(since, type=kind, limit="200"))
        edges = [edge for edge in found.edges if service in ("", edge.source, edge.destination)]
        lately = [event for event in told.events if service in ("", event.source, event.destination)]
        names = sorted({name for edge in found.edges for name in (edge.source, edge.destination)} | ({service} - {""}))
        options = [{"value": ANY, "label": "All services"}, *[{"value": name, "label": name} for name in names]]
        return [
            f"As the proxies see them, last {since}, {live.as_of(found.end)}",
            options,
            tiles(edges, lately),
            timeline.timeline(edges, found.start, found.end),
            {"height": f"{timeline.height(len(edges))}px", "display": "block" if edges else "none"},
            None if edges else _no_breakers(service, since),
            [events.row(event, place, told.end) for place, event in enumerate(reversed(lately))][::-1],
            None
            if lately
            else parts.empty(f"No mesh events in the last {since}", "Choose a longer time range to look further back."),
        ]

    outputs = [
        Output("breakers-note", "children"),
        Output(fields.field_id("breakers", "service"), "data"),
        Output("breakers-tiles", "children"),
        Output("breakers-timeline", "figure"),
        Output("breakers-timeline", "style"),
        Output("breakers-empty", "children"),
        Output("breakers-events", "rowData"),
        Output("breakers-no-events", "children"),
    ]
    live.fill(app, "breakers", PATH, outputs, answer)
    fields.register(app, "breakers", ["service", "type"])


def tiles(edges: Sequence[BreakerEdge], lately: Sequence[MeshEvent]) -> Any:
    """Return the summary on top."""
    opened = sum(1 for edge in edges if edge.state == "open")
    probing = sum(1 for edge in edges if edge.state == "half_open")
    ejected = sum(1 for event in lately if event.action == "ejected")
    overflows = sum(1 for event in lately if event.action == "overflow")
    return parts.tiles(
        [
            parts.tile("Open now", str(opened), note=f"of {units.count(len(edges), 'circuit')}", tone="bad" if opened else ""),
            parts.tile("Half-open now", str(probing), note="letting one probe through", tone="warn" if probing else ""),
            parts.tile("Openings", str(timeline.openings(edges)), note="in this time range"),
            parts.tile("Ejections", str(ejected), note=f"and {units.count(overflows, 'overflow')}"),
        ]
    )


def _no_breakers(service: str, since: str) -> Any:
    if service:
        return parts.empty(
            f"No circuit of {service} was seen in the last {since}",
            "Choose another service or a longer time range.",
            icon_name="shield",
        )
    hint = "Circuits appear when proxies report calls or mesh events; run a proxy with outlier detection, or the demo."
    return parts.empty("No circuit breakers yet", hint, icon_name="shield")
