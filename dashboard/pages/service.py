"""The service page: the golden signals of one service, and its versions side by side."""

import asyncio
from collections.abc import Sequence
from typing import Any

from dash import Dash, Output, State, dcc, html

from dashboard import links, live
from dashboard.answers import GoldenSignals, Series, ServiceRow, Total
from dashboard.api import QueryApi
from dashboard.components import fields, health, palette, parts, units
from dashboard.figures import charts

OTHER = "__other__"
PATH = "/service"
TITLE = "Service"
SPLITS = (("", "Together"), ("version", "By version"), ("route", "By route"), ("zone", "By zone"))
CHARTS = (
    ("rate", "Rate", "requests per second"),
    ("errors", "Errors", "share of requests that failed"),
    ("latency", "Latency", "p50, p95, p99"),
    ("saturation", "Saturation", "requests in flight"),
)
NOISE = 0.05


def layout(service: str = "", by: str = "", **others: str) -> Any:
    """Return the page before its first answer."""
    picker = fields.choice(
        "service", "service", "Service", [(service, service)], service or None, quiet=True, searchable=True, w=210
    )
    return html.Div(
        [
            parts.heading(
                html.Span(service or TITLE, id="service-name"),
                html.Span("Golden signals", id="service-note"),
                [html.Div(_splits(by, {"service": service, **others}), id="service-splits"), picker],
            ),
            *live.slots("service"),
            html.Div(parts.skeleton_tiles(4), id="service-tiles"),
            html.Div([_chart(*chart) for chart in CHARTS], className="charts"),
            html.Div(parts.skeleton(120), id="service-versions"),
            dcc.Store(id="service-shown", data=service),
            fields.defaults("service", {}),
        ],
        className="page page-service",
    )


def _chart(key: str, title: str, note: str) -> Any:
    config = {"displayModeBar": False, "responsive": True}
    graph = dcc.Graph(
        id=f"service-{key}", figure=charts.blank(), config=config, responsive=True, style={"height": f"{charts.HEIGHT}px"}
    )
    return parts.panel(title, graph, note=note)


def _splits(by: str, params: links.Params) -> Any:
    choices = [(text, links.href(PATH, params, by=value), value == by) for value, text in SPLITS]
    return parts.switch("Split the charts", choices)


def register(app: Dash, api: QueryApi) -> None:
    """Connect the page to the API."""

    async def answer(params: dict[str, str], shown: str) -> Sequence[Any]:
        since = links.since_of(params)
        by = params.get("by", "") if params.get("by") in dict(SPLITS) else ""
        known = (await api.services(since)).services
        name = params.get("service") or shown or busiest(known)
        if not name:
            return _nothing(params)
        step = links.step_of(since)
        signals, versions = await asyncio.gather(
            api.golden_signals(name, since, step=step, by=by), api.golden_signals(name, since, step=step, by="version")
        )
        window = (signals.start, signals.end)
        options = sorted({row.name for row in known} | {name})
        return [
            name,
            name,
            [{"value": option, "label": option} for option in options],
            name,
            f"Golden signals, last {since}, {live.as_of(signals.end)}{beyond(signals)}",
            _splits(by, params),
            tiles(name, known, versions),
            charts.rate(signals.series, *window),
            charts.errors(signals.series, *window),
            charts.latency(signals.series, *window),
            charts.saturation(signals.series, *window),
            comparison(name, versions, params),
        ]

    picker = fields.field_id("service", "service")
    outputs = [
        Output("service-name", "children"),
        Output("service-shown", "data"),
        Output(picker, "data"),
        Output(picker, "placeholder"),
        Output("service-note", "children"),
        Output("service-splits", "children"),
        Output("service-tiles", "children"),
        *[Output(f"service-{key}", "figure") for key, *_ in CHARTS],
        Output("service-versions", "children"),
    ]
    live.fill(app, "service", PATH, outputs, answer, states=[State("service-shown", "data")])
    fields.register(app, "service", ["service"])


def beyond(signals: GoldenSignals) -> str:
    """Return what a reader must know of a service that has more routes than are told apart."""
    return "; __other__ is all routes beyond the bound of a service" if any(one.group == OTHER for one in signals.series) else ""


def busiest(rows: Sequence[ServiceRow]) -> str:
    """Return the service with the most requests, the first by name among equals; "" when there is none."""
    return min(rows, key=lambda row: (-row.rate, row.name)).name if rows else ""


def _nothing(params: links.Params) -> list[Any]:
    blank = [charts.blank()] * len(CHARTS)
    return [TITLE, "", [], "", "Golden signals", _splits("", params), parts.no_telemetry(), *blank, None]


def tiles(name: str, known: Sequence[ServiceRow], versions: GoldenSignals) -> Any:
    """Return the summary on top."""
    row = next((one for one in known if one.name == name), None)
    if row is None:
        return parts.empty("No requests in this time range", "Choose a longer one, above on the right.")
    verdict = health.of(row.rate, row.error_rate)
    busy = [point.in_flight for one in versions.series for point in one.points[-1:] if point.in_flight is not None]
    return parts.tiles(
        [
            parts.tile(
                "Requests", units.rate(row.rate), note=f"{units.count(len(row.versions), 'version')}: {', '.join(row.versions)}"
            ),
            parts.tile("Error rate", units.percent(row.error_rate), note=health.WORDS[verdict].lower(), tone=verdict),
            parts.tile(
                "Latency p99",
                units.duration(row.p99_ms),
                note=f"p50 {units.duration(row.p50_ms)}, p95 {units.duration(row.p95_ms)}",
            ),
            parts.tile(
                "In flight", units.plain(round(sum(busy), 2)) if busy else units.NONE, note="requests at a time, just now"
            ),
        ]
    )


def comparison(name: str, versions: GoldenSignals, params: links.Params) -> Any:
    """Return the versions side by side; differences are told against the one with the most traffic."""
    calls = sum(one.total.calls for one in versions.series)
    carried = links.carried(params)
    to_traces = parts.button_link("All traces", links.href("/traces", carried, service=name), "list")
    if not versions.series or not calls:
        return parts.panel("Versions", parts.empty("No requests in this time range"), actions=to_traces, classes="flush")
    baseline = max(versions.series, key=lambda one: one.total.calls)
    tones = palette.by_name(one.group for one in versions.series)
    rows = [
        _version_row(one, one.total.calls / calls, None if one is baseline else baseline.total, tones[one.group], name, carried)
        for one in versions.series
    ]
    heads = ("Version", "Share of traffic", "Requests", "Error rate", "p50", "p95", "p99", "")
    title = "Canary comparison" if len(rows) > 1 else "Versions"
    note = f"differences against {charts.group_name(baseline.group)}, which has the most traffic" if len(rows) > 1 else ""
    return parts.panel(
        title, parts.table(heads, rows, numeric=range(1, 8), caption=title), note=note, actions=to_traces, classes="flush"
    )


def _version_row(one: Series, share: float, baseline: Total | None, tone: str, name: str, carried: links.Params) -> Any:
    total = one.total
    word = html.Div(
        [html.Span(className="swatch", style={"--tone": tone}), html.Strong(charts.group_name(one.group))], className="with-cue"
    )
    bar = html.Span(
        html.Span(style={"width": f"{share * 100:.1f}%", "--tone": tone}), className="share-bar", **{"aria-hidden": "true"}
    )
    times = [
        [units.duration(value), delta(value, getattr(baseline, key, None))]
        for key, value in (("p50_ms", total.p50_ms), ("p95_ms", total.p95_ms), ("p99_ms", total.p99_ms))
    ]
    cells = [
        word,
        html.Div([bar, html.Span(units.percent(share))], className="share"),
        units.rate(total.rate),
        [units.percent(total.error_rate), delta(total.error_rate, baseline.error_rate if baseline else None, points=True)],
        *times,
        html.Div(
            [parts.link("Traces", links.href("/traces", carried, service=name, version=one.group)), *_to_look_at(total, carried)],
            className="row-links",
        ),
    ]
    return parts.row(cells, numeric=range(1, 8))


def _to_look_at(total: Total, carried: links.Params) -> list[Any]:
    named = (("Slowest", total.slowest_trace), ("A failed one", total.failed_trace))
    return [parts.link(text, links.href("/trace", carried, id=trace)) for text, trace in named if trace]


def delta(value: float | None, base: float | None, *, points: bool = False) -> Any:
    """Return how much worse or better ``value`` is; ``points`` for ratios, told in percentage points. Less is better."""
    if value is None or base is None:
        return html.Span(className="delta")
    if points:
        change = (value - base) * 100
        text, tone = f"{change:+.1f}{units.NARROW}pp", _tone(change, 0.1)
    elif base > 0:
        change = value / base - 1
        text, tone = f"{change * 100:+.0f}{units.NARROW}%", _tone(change, NOISE)
    else:
        return html.Span(className="delta")
    return html.Span(text.replace("-", "\u2212"), className=f"delta {tone}")


def _tone(change: float, noise: float) -> str:
    return "worse" if change > noise else "better" if change < -noise else ""
