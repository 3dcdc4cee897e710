"""The topology page: who calls whom, how well, and which circuits are open."""

import asyncio
from collections.abc import Sequence
from typing import Any

import dash_cytoscape as cyto
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboard import links, live
from dashboard.answers import Edge, MeshEvents, Node, Topology
from dashboard.api import QueryApi
from dashboard.components import events, health, hops, parts, units
from dashboard.figures import graph, graph_style

PATH = "/"
TITLE = "Topology"
LATEST = "6"
BREAKER_TONES = {"open": ("Open", "bad"), "half_open": ("Half-open", "warn"), "closed": ("Closed", "ok")}


def layout(**_: str) -> Any:
    """Return the page before its first answer."""
    picture = cyto.Cytoscape(
        id="topology-graph",
        elements=[],
        layout={"name": "preset", "fit": True, "padding": 28},
        autoRefreshLayout=False,
        stylesheet=graph_style.stylesheet(graph_style.LIGHT),
        minZoom=0.2,
        maxZoom=1.6,
        boxSelectionEnabled=False,
        className="graph",
        style={"width": "100%", "height": "100%"},
    )
    tools = html.Div(
        [
            html.Button(parts.icon("fit"), id="topology-fit", className="icon-button", title="Fit the graph into view"),
        ],
        className="graph-tools",
    )
    frame = html.Div(
        [picture, tools, _legend(), html.Div(id="topology-empty")],
        className="graph-frame",
        role="img",
        **{"aria-label": "Graph of services and their calls; the list beside it has the same numbers"},
    )
    return html.Div(
        [
            parts.heading("Topology", html.Span("Who calls whom, and how well", id="topology-note")),
            *live.slots("topology"),
            html.Div(parts.skeleton_tiles(4), id="topology-tiles"),
            html.Div(
                [frame, html.Aside(html.Div(parts.skeleton(320), id="topology-side"), className="panel side")],
                className="split",
            ),
            dcc.Store(id="topology-nodes"),
            dcc.Store(
                id="topology-themes",
                data={"light": graph_style.stylesheet(graph_style.LIGHT), "dark": graph_style.stylesheet(graph_style.DARK)},
            ),
        ],
        className="page page-topology",
    )


def register(app: Dash, api: QueryApi) -> None:
    """Connect the page to the API."""

    async def answer(params: dict[str, str], nodes: list[str] | None) -> Sequence[Any]:
        since = links.since_of(params)
        topology, told = await asyncio.gather(api.topology(since), api.mesh_events(since, limit=LATEST))
        chosen = params.get("node") or params.get("edge") or ""
        shape = graph.shape_of(topology)
        return [
            graph.elements(topology, selected=chosen),
            tiles(topology),
            side(topology, params, told),
            None if topology.nodes else parts.no_telemetry(),
            f"Last {since}, {live.as_of(topology.end)}",
            no_update if shape == nodes else shape,
        ]

    outputs = [
        Output("topology-graph", "elements"),
        Output("topology-tiles", "children"),
        Output("topology-side", "children"),
        Output("topology-empty", "children"),
        Output("topology-note", "children"),
        Output("topology-nodes", "data"),
    ]
    live.fill(app, "topology", PATH, outputs, answer, states=[State("topology-nodes", "data")])
    app.clientside_callback(
        ClientsideFunction("meshscope", "graphStyle"),
        Output("topology-graph", "stylesheet"),
        Input("theme", "data"),
        State("topology-themes", "data"),
    )
    app.clientside_callback(
        ClientsideFunction("meshscope", "fitGraph"), Input("topology-nodes", "data"), Input("topology-fit", "n_clicks")
    )


def _legend() -> Any:
    marks = [
        html.Span([parts.health_mark(verdict), text])
        for verdict, text in (
            (health.Health.OK, "errors < 1 %"),
            (health.Health.WARN, "1 – 5 %"),  # noqa: RUF001
            (health.Health.BAD, "≥ 5 %"),
        )
    ]
    return html.Div([*marks, html.Span([html.Span(className="stroke"), "wider: more requests"])], className="legend")


def tiles(topology: Topology) -> Any:
    """Return the summary on top."""
    services = [node for node in topology.nodes if node.kind == "service"]
    entering = _entering(topology)
    rate = sum(edge.rate for edge in entering)
    errors = sum(edge.rate * edge.error_rate for edge in entering)
    ratio = errors / rate if rate else 0.0
    failing = sum(1 for node in services if health.of(node.rate, node.error_rate) is health.Health.BAD)
    opened = [edge for edge in topology.edges if edge.breaker_state == "open"]
    probing = sum(1 for edge in topology.edges if edge.breaker_state == "half_open")
    verdict = health.of(rate, ratio)
    return parts.tiles(
        [
            parts.tile(
                "Services",
                str(len(services)),
                note=f"{failing} failing" if failing else "none failing",
                tone="note-bad" if failing else "",
            ),
            parts.tile("Requests", units.rate(rate), note="entering the mesh"),
            parts.tile(
                "Error rate", units.percent(ratio), note="of entering requests", tone=verdict if verdict != "idle" else ""
            ),
            parts.tile(
                "Open breakers",
                str(len(opened)),
                note=f"{probing} half-open" if probing else "none half-open",
                tone="bad" if opened else "warn" if probing else "",
            ),
        ]
    )


def _entering(topology: Topology) -> list[Edge]:
    """Return the edges by which requests enter: from outside, or else from services nobody calls."""
    kinds = {node.id: node.kind for node in topology.nodes}
    outside = [edge for edge in topology.edges if kinds.get(edge.source) == "external"]
    called = {edge.destination for edge in topology.edges}
    return outside or [edge for edge in topology.edges if edge.source not in called]


def side(topology: Topology, params: dict[str, str], told: MeshEvents) -> list[Any]:
    """Return the panel beside the graph: what was chosen, or every service."""
    node = next((one for one in topology.nodes if one.id == params.get("node")), None)
    if node is not None:
        return _node_side(node, topology, params)
    edge = next((one for one in topology.edges if graph.edge_id(one) == params.get("edge")), None)
    return _edge_side(edge, params) if edge is not None else [*_overview(topology, params), *_latest(told, params)]


def _overview(topology: Topology, params: dict[str, str]) -> list[Any]:
    services = [node for node in topology.nodes if node.kind == "service"]
    services.sort(key=lambda node: (health.ORDER[health.of(node.rate, node.error_rate)], -node.rate, node.id))
    rows = [
        parts.row(
            [
                html.Div(
                    [
                        parts.health_mark(health.of(node.rate, node.error_rate)),
                        parts.link(node.id, links.href(PATH, params, node=node.id, edge=""), "name"),
                    ],
                    className="with-cue",
                ),
                units.rate(node.rate),
                units.percent(node.error_rate),
                units.duration(node.p99_ms),
            ],
            numeric=(1, 2, 3),
        )
        for node in services
    ]
    head = html.Div([html.H2("Services"), html.Div("worst first", className="panel-note")], className="panel-head")
    if not rows:
        return [head, parts.empty("No services yet")]
    return [head, parts.table(("Service", "Req", "Errors", "p99"), rows, numeric=(1, 2, 3), caption="Services by health")]


def _latest(told: MeshEvents, params: dict[str, str]) -> list[Any]:
    if not told.events:
        return []
    items = []
    for event in told.events:
        word, tone = events.words(event.action)
        what = html.Div(
            [html.Span(word, className="strong"), html.Span(events.way(event), className="dim")], className="latest-what"
        )
        when = html.Span(units.ago(event.ts, told.end), className="dim num")
        items.append(html.Li([html.Span(className=f"cue {tone}", **{"aria-hidden": "true"}), what, when]))
    every = parts.link("All events", links.href("/breakers", links.carried(params)))
    head = html.Div(
        [html.H2("Latest mesh events"), html.Div(every, className="panel-actions")], className="panel-head latest-head"
    )
    return [head, html.Ul(items, className="latest")]


def _back(params: dict[str, str]) -> Any:
    to = links.href(PATH, params, node="", edge="")
    return html.A([parts.icon("close")], href=to, className="icon-button", title="Back to all services", **{"aria-label": "Back"})


def _side_head(title: Any, below: Any, params: dict[str, str]) -> Any:
    return html.Div([html.Div([html.H2(title), below], className="side-title"), _back(params)], className="side-head")


def _node_side(node: Node, topology: Topology, params: dict[str, str]) -> list[Any]:
    verdict = health.of(node.rate, node.error_rate)
    carried = links.carried(params)
    below = html.Div(
        [parts.badge(health.WORDS[verdict], verdict), *[parts.chip(version) for version in node.versions]], className="chips"
    )
    numbers = [
        ("Requests", units.rate(node.rate)),
        ("Error rate", units.percent(node.error_rate)),
        ("p50", units.duration(node.p50_ms)),
        ("p95", units.duration(node.p95_ms)),
        ("p99", units.duration(node.p99_ms)),
    ]
    actions = [
        parts.button_link("Service", links.href("/service", carried, service=node.id), "chart"),
        parts.button_link("Traces", links.href("/traces", carried, service=node.id), "list"),
        parts.button_link("Breakers", links.href("/breakers", carried, service=node.id), "shield"),
    ]
    callers = [edge for edge in topology.edges if edge.destination == node.id]
    callees = [edge for edge in topology.edges if edge.source == node.id]
    return [
        _side_head(node.id, below, params),
        parts.facts(numbers),
        html.Div(actions if node.kind == "service" else actions[1:2], className="buttons"),
        *_neighbours("Called by", callers, params, lambda edge: edge.source),
        *_neighbours("Calls", callees, params, lambda edge: edge.destination),
    ]


def _neighbours(title: str, edges: Sequence[Edge], params: dict[str, str], other: Any) -> list[Any]:
    if not edges:
        return []
    rows = [
        parts.row(
            [
                html.Div(
                    [
                        parts.health_mark(health.of(edge.rate, edge.error_rate)),
                        parts.link(other(edge), links.href(PATH, params, node="", edge=graph.edge_id(edge)), "name"),
                    ],
                    className="with-cue",
                ),
                units.rate(edge.rate),
                units.percent(edge.error_rate),
            ],
            numeric=(1, 2),
        )
        for edge in sorted(edges, key=lambda one: -one.rate)
    ]
    return [html.H3(title), parts.table((title, "Req", "Errors"), rows, numeric=(1, 2), caption=title)]


def _to_look_at(edge: Edge, carried: links.Params) -> list[tuple[str, Any]]:
    named = (("Slowest", edge.slowest_trace), ("A failed one", edge.failed_trace))
    found = [parts.link(text, links.href("/trace", carried, id=trace)) for text, trace in named if trace]
    return [("Traces to look at", html.Span(found, className="row-links"))] if found else []


def _edge_side(edge: Edge, params: dict[str, str]) -> list[Any]:
    verdict = health.of(edge.rate, edge.error_rate)
    carried = links.carried(params)
    badges = [parts.badge(health.WORDS[verdict], verdict)]
    if edge.breaker_state in BREAKER_TONES:
        word, tone = BREAKER_TONES[edge.breaker_state]
        badges.append(parts.badge(f"Circuit {word.lower()}", tone))
    whole = edge.paired / edge.calls if edge.calls else None
    numbers = [
        ("Requests", units.rate(edge.rate)),
        ("Error rate", units.percent(edge.error_rate)),
        ("Calls", units.whole(edge.calls)),
        ("Failed calls", units.whole(edge.errors)),
        ("Retries", units.whole(edge.retries)),
        ("p50, p95", f"{units.duration(edge.p50_ms)}, {units.duration(edge.p95_ms)}"),
        ("p99", units.duration(edge.p99_ms)),
        ("Seen from both sides", units.percent(min(1.0, whole) if whole is not None else None)),
    ]
    actions = [
        parts.button_link("Callee", links.href("/service", carried, service=edge.destination), "chart"),
        parts.button_link("Failed traces", links.href("/traces", carried, service=edge.destination, error="true"), "list"),
        parts.button_link("Breakers", links.href("/breakers", carried, service=edge.destination), "shield"),
    ]
    title = [html.Span(edge.source), html.Span(" → ", className="dim"), html.Span(edge.destination)]
    return [
        _side_head(title, html.Div(badges, className="chips"), params),
        parts.facts([*numbers, *_to_look_at(edge, carried)]),
        hops.where_the_time_goes(edge),
        html.Div(actions, className="buttons"),
    ]
