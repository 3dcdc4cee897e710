"""The trace page: one request as a waterfall of spans."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, Output, State, dcc, html
from dash.exceptions import PreventUpdate

from dashboard import links, live
from dashboard.answers import Span, Trace
from dashboard.api import QueryApi
from dashboard.components import parts, units
from dashboard.figures import waterfall
from dashboard.figures.waterfall import Bar

PATH = "/trace"
TITLE = "Trace"
HOPS = (("", "With proxy hops"), ("folded", "App spans only"))
HOP_WORDS = {"inbound": "proxy in", "outbound": "proxy out", "proxy": "proxy"}
REASON_WORDS = {
    "erred": "failed",
    "slow": "was slow for its route",
    "rule": "matches a rule",
    "share": "was drawn at random",
}
LABEL_LEFT_FROM = 0.86
FLAG_WORDS = {
    "UH": "no healthy upstream: the circuit is open",
    "UF": "connecting to the upstream failed",
    "UO": "overflow: a circuit breaker's limit was reached",
    "UT": "the upstream took too long",
    "UR": "the upstream reset the connection",
    "UC": "the upstream closed the connection",
    "URX": "all attempts were used up",
    "NR": "no route matched",
}


def layout(id: str = "", **_: str) -> Any:
    """Return the page before its first answer."""
    if not id:
        inside: Any = parts.empty("No trace chosen", parts.link("Choose one from the list", "/traces"))
    else:
        inside = parts.skeleton(320)
    return html.Div(
        [
            parts.heading(html.Span(TITLE, id="trace-name"), html.Span(id, id="trace-note"), html.Div(id="trace-hops")),
            *live.slots("trace"),
            html.Div(parts.skeleton_tiles(4) if id else None, id="trace-tiles"),
            html.Div(id="trace-thinned", className="notices"),
            html.Div(
                [
                    html.Section(html.Div(inside, id="trace-rows"), className="panel waterfall-panel"),
                    html.Aside(html.Div(parts.skeleton(320) if id else None, id="trace-side"), className="panel side"),
                ],
                className="split",
            ),
            dcc.Store(id="trace-shown"),
        ],
        className="page page-trace",
    )


def register(app: Dash, api: QueryApi) -> None:
    """Connect the page to the API."""

    async def answer(params: dict[str, str], shown: str | None) -> Sequence[Any]:
        wanted = params.get("id", "")
        if not wanted or (live.is_tick() and wanted == shown):  # a trace that is shown does not change
            raise PreventUpdate
        trace = await api.trace(wanted)
        rows = waterfall.bars(trace, fold=params.get("hops") == "folded")
        chosen = next((span for span in trace.spans if span.span_id == params.get("span")), None) or _telling(trace.spans)
        return [
            f"{trace.root_service}  {trace.root_name}".strip() or TITLE,
            note(trace),
            _switch(params, trace),
            tiles(trace),
            thinning(trace),
            picture(rows, trace, params, chosen.span_id if chosen else ""),
            details(chosen, params) if chosen else None,
            wanted,
        ]

    outputs = [
        Output("trace-name", "children"),
        Output("trace-note", "children"),
        Output("trace-hops", "children"),
        Output("trace-tiles", "children"),
        Output("trace-thinned", "children"),
        Output("trace-rows", "children"),
        Output("trace-side", "children"),
        Output("trace-shown", "data"),
    ]
    live.fill(app, "trace", PATH, outputs, answer, states=[State("trace-shown", "data")])


def _telling(spans: Sequence[Span]) -> Span | None:
    """Return the span that tells most: the deepest that failed, or else the first."""
    failed = [span for span in spans if span.error]
    return max(failed, key=lambda span: span.depth) if failed else next(iter(spans), None)


def _switch(params: links.Params, trace: Trace) -> Any:
    if not waterfall.foldable(trace.spans):
        return None
    now = params.get("hops", "")
    return parts.switch("Proxy hops", [(text, links.href(PATH, params, hops=value), value == now) for value, text in HOPS])


def note(trace: Trace) -> str:
    """Return which trace this is, since when, and why it was kept when others were thinned."""
    told = f"Trace {trace.trace_id}, started {trace.start:%Y-%m-%d} {units.clock(trace.start)} UTC"
    reasons = [REASON_WORDS.get(reason, reason) for reason in trace.kept_because]
    return f"{told}; kept because it {' and '.join(reasons)}" if reasons else told


def thinning(trace: Trace) -> Any:
    """Return what a reader must know of a trace whose spans are not all kept."""
    if not trace.thinned:
        return left_out(trace)
    if not trace.spans:
        return parts.remark(
            "The spans of this trace are no longer kept.", "It was thinned; what is shown here was counted before its spans went."
        )
    return parts.remark(
        f"Only {units.whole(len(trace.spans))} of {units.count(trace.spans_seen, 'span')} are kept.",
        "The trace was thinned, and the picture has gaps; the numbers on top count every span.",
    )


def left_out(trace: Trace) -> Any:
    """Return what a reader must know of a trace that grew beyond all bounds."""
    if not trace.spans_left_out:
        return None
    return parts.remark(
        f"{units.count(trace.spans_left_out, 'span')} of this trace were not stored.",
        "They came when it had all the spans that a trace may have; the numbers on top count every span.",
    )


def tiles(trace: Trace) -> Any:
    """Return the summary on top."""
    hops = sum(1 for span in trace.spans if span.hop != waterfall.APP)
    kept = f"{units.whole(len(trace.spans))} of them kept"
    return parts.tiles(
        [
            parts.tile("Duration", units.duration(trace.duration_ms), note="from the first to the last span"),
            parts.tile(
                "Spans", units.whole(trace.spans_seen), note=kept if trace.thinned else f"{units.whole(hops)} from proxies"
            ),
            parts.tile("Services", units.whole(len(trace.services)), note=", ".join(trace.services)),
            parts.tile("Errors", units.whole(trace.errors), note="spans that failed", tone="bad" if trace.errors else ""),
        ]
    )


def picture(rows: Sequence[Bar], trace: Trace, params: links.Params, chosen: str) -> list[Any]:
    """Return the waterfall; each row is a link to its span."""
    if not rows:
        services = ", ".join(trace.services)
        hint = f"The trace took {units.duration(trace.duration_ms)} through {services}. Services and topology still count it."
        return [parts.empty("No spans to draw", hint)]
    whole = waterfall.extent(trace)
    marks = [
        html.Span(units.duration(tick), className="tick", style={"left": f"{tick / whole * 100:.2f}%"})
        for tick in waterfall.ticks(whole)
        if tick / whole < 0.97
    ]
    head = html.Div(
        [html.Div("Service and operation", className="wf-name"), html.Div(marks, className="wf-track")], className="wf-head"
    )
    lines = [html.Span(className="gridline", style={"left": f"{tick / whole * 100:.2f}%"}) for tick in waterfall.ticks(whole)]
    body = [
        html.Div(
            [html.Div(className="wf-name"), html.Div(lines, className="wf-track")],
            className="wf-lines",
            **{"aria-hidden": "true"},
        )
    ]
    body += [_row(bar, params, chosen) for bar in rows[: waterfall.MOST]]
    more = len(rows) - waterfall.MOST
    if more > 0:
        body.append(
            html.P(f"{units.whole(more)} more spans are not drawn; fold the proxy hops to see fewer.", className="wf-more")
        )
    return [head, html.Div(body, className="wf-body"), _legend(trace)]


def _row(bar: Bar, params: links.Params, chosen: str) -> Any:
    span = bar.span
    tags: list[Any] = []
    if bar.is_proxy:
        tags.append(html.Span(HOP_WORDS.get(span.hop, span.hop), className="wf-tag"))
    if bar.folded:
        tags.append(html.Span(f"+{units.count(bar.folded, 'hop')}", className="wf-tag", title="proxy hops folded into this row"))
    if span.error:
        tags.append(html.Span(className="cue bad", role="img", **{"aria-label": "failed"}))
    name = html.Div(
        [
            html.Span(className="swatch", style={"--tone": bar.colour}),
            html.Span(span.service, className="wf-service"),
            html.Span(span.name, className="wf-operation"),
            *tags,
        ],
        className="wf-name",
        style={"--depth": bar.depth},
    )
    place, label_at = _label_place(bar)
    told = [html.Span(text, className="wf-tag told", title=title) for text, title in telling(span)]
    track = html.Div(
        [
            html.Span(
                className="wf-bar",
                style={"left": f"{bar.left * 100:.3f}%", "width": f"{bar.width * 100:.3f}%", "--tone": bar.colour},
            ),
            html.Span([units.duration(span.duration_ms), *told], className=f"wf-label num {place}", style=label_at),
        ],
        className="wf-track",
    )
    classes = ["wf-row", *(["proxy"] if bar.is_proxy else []), *(["failed"] if span.error else [])]
    classes += ["chosen"] if span.span_id == chosen else []
    current = {"aria-current": "true"} if span.span_id == chosen else {}
    return html.A([name, track], href=links.href(PATH, params, span=span.span_id), className=" ".join(classes), **current)


def telling(span: Span) -> list[tuple[str, str]]:
    """Return what a proxy told that explains a span at a glance: retries and Envoy's response flags."""
    told = []
    again = span.attributes.get("http.request.resend_count")
    if again:
        told.append((f"retry {again}", "a further attempt after one that failed"))
    flags = span.attributes.get("response_flags")
    if isinstance(flags, str) and flags not in ("", "-"):
        told.append((flags, FLAG_WORDS.get(flags, "response flags of the proxy")))
    return told


def _label_place(bar: Bar) -> tuple[str, dict[str, str]]:
    """Return on which side of its bar a label has room, and where that is."""
    if bar.left + bar.width <= LABEL_LEFT_FROM:
        return "after", {"left": f"{(bar.left + bar.width) * 100:.2f}%"}
    if bar.left > 1 - LABEL_LEFT_FROM:
        return "before", {"right": f"{(1 - bar.left) * 100:.2f}%"}
    return "within", {"right": f"{(1 - bar.left - bar.width) * 100:.2f}%"}


def _legend(trace: Trace) -> Any:
    colours = waterfall.services_of(trace.spans)
    marks = [html.Span([html.Span(className="swatch", style={"--tone": tone}), name]) for name, tone in colours.items()]
    return html.Div([*marks, html.Span([html.Span(className="swatch hatched"), "proxy hop"])], className="wf-legend")


def details(span: Span, params: links.Params) -> list[Any]:
    """Return everything known of one span."""
    words = [parts.badge("Failed", "bad") if span.error else parts.badge("Succeeded", "ok"), parts.chip(span.kind)]
    words.append(parts.chip(HOP_WORDS.get(span.hop, span.hop)))
    numbers: list[tuple[str, Any]] = [
        ("Service", parts.link(span.service, links.href("/service", links.carried(params), service=span.service))),
        ("Version", span.version or units.NONE),
        ("Node", span.node or units.NONE),
        ("Starts after", units.duration(span.offset_ms)),
        ("Takes", units.duration(span.duration_ms)),
    ]
    if span.status_message:
        numbers.append(("Message", span.status_message))
    head = html.Div(
        [html.Div([html.H2(span.name), html.Div(words, className="chips")], className="side-title")], className="side-head"
    )
    return [
        head,
        parts.facts(numbers),
        *_mapping("Attributes", span.attributes),
        *_events(span),
        *_mapping("Resource", span.resource),
        html.H3("Span"),
        parts.facts([("id", html.Code(span.span_id)), ("parent", html.Code(span.parent_id or "none"))]),
    ]


def _mapping(title: str, values: Mapping[str, object]) -> list[Any]:
    if not values:
        return []
    rows = [part for name in sorted(values) for part in (html.Dt(name), html.Dd(_text(values[name])))]
    return [html.H3(title), html.Dl(rows, className="attributes")]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _events(span: Span) -> list[Any]:
    if not span.events:
        return []
    rows: list[Any] = []
    for event in span.events:
        rows += [html.Dt(f"{event.name} at {units.duration(event.offset_ms)}")]
        rows += [html.Dd(", ".join(f"{name}={_text(value)}" for name, value in event.attributes.items()))]
    return [html.H3("Events"), html.Dl(rows, className="attributes")]
