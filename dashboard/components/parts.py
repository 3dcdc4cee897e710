"""Small parts: tiles, badges, panels, tables, notices. Text given to them is shown as text."""

from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard.api import ApiFault
from dashboard.components import health

Component = Any  # Dash ships no types


def icon(name: str) -> Component:
    """Return an icon of assets/icons.css; hidden from screen readers."""
    return html.Span(className=f"icon icon-{name}", **{"aria-hidden": "true"})


def tile(label: str, value: str, *, note: str = "", tone: str = "") -> Component:
    """Return one big number with its name; a ``tone`` such as ``bad`` colours it, ``note-bad`` its note."""
    inner = [html.Div(label, className="tile-label"), html.Div(value, className="tile-value num")]
    return html.Div([*inner, html.Div(note, className="tile-note")], className=f"tile {tone}")


def tiles(children: Sequence[Component]) -> Component:
    """Return tiles in a row."""
    return html.Div(list(children), className="tiles")


def panel(title: str, children: Any, *, note: Any = "", actions: Any = None, classes: str = "") -> Component:
    """Return a titled surface."""
    head = [
        html.H2(title),
        html.Div(note, className="panel-note"),
        html.Div([] if actions is None else actions, className="panel-actions"),
    ]
    return html.Section(
        [html.Div(head, className="panel-head"), html.Div(children, className="panel-body")], className=f"panel {classes}"
    )


def badge(text: str, tone: str) -> Component:
    """Return a small word on a tinted ground, with a shape that tells the tone without colour."""
    return html.Span([html.Span(className=f"cue {tone}", **{"aria-hidden": "true"}), text], className=f"badge {tone}")


def health_mark(verdict: health.Health) -> Component:
    """Return the shape of a verdict, named for screen readers."""
    return html.Span(className=f"cue {verdict}", title=health.WORDS[verdict], role="img", **{"aria-label": health.WORDS[verdict]})


def chip(text: str, title: str = "") -> Component:
    """Return a quiet word such as a version."""
    return html.Span(text, className="chip", title=title or text)


def link(text: Any, to: str, classes: str = "") -> Component:
    """Return a link."""
    return html.A(text, href=to, className=f"link {classes}".strip())


def button_link(text: str, to: str, icon_name: str = "") -> Component:
    """Return a link that looks like a button."""
    return html.A([icon(icon_name) if icon_name else "", text], href=to, className="button")


def switch(name: str, choices: Sequence[tuple[str, str, bool]], classes: str = "") -> Component:
    """Return links side by side of which one holds: (text, link, is chosen)."""
    links = [html.A(text, href=to, **({"aria-current": "true"} if chosen else {})) for text, to, chosen in choices]
    return html.Div(links, className=f"switch {classes}", role="group", **{"aria-label": name})


def facts(rows: Sequence[tuple[str, Any]]) -> Component:
    """Return names and values below each other."""
    return html.Dl([part for name, value in rows for part in (html.Dt(name), html.Dd(value, className="num"))], className="facts")


def table(heads: Sequence[str], rows: Sequence[Component], *, numeric: Sequence[int] = (), caption: str = "") -> Component:
    """Return a table; the columns named in ``numeric`` are aligned right."""
    cells = [html.Th(head, scope="col", className="right" if place in numeric else "") for place, head in enumerate(heads)]
    inner = [html.Caption(caption, className="visually-hidden")] if caption else []
    return html.Div(
        html.Table([*inner, html.Thead(html.Tr(cells)), html.Tbody(list(rows))], className="table"), className="table-frame"
    )


def row(cells: Sequence[Any], *, numeric: Sequence[int] = (), classes: str = "") -> Component:
    """Return a row of ``table``."""
    return html.Tr(
        [html.Td(cell, className="right num" if place in numeric else "") for place, cell in enumerate(cells)], className=classes
    )


def empty(title: str, hint: Any = "", *, icon_name: str = "inbox") -> Component:
    """Return what stands where nothing is to show: why, and what to do."""
    return html.Div(
        [icon(icon_name), html.P(title, className="empty-title"), html.P(hint, className="empty-hint")], className="empty"
    )


def no_telemetry() -> Component:
    """Return the empty state of a store without telemetry."""
    hint = ["Send OTLP to ", html.Code("http://127.0.0.1:4318"), " (HTTP) or ", html.Code("127.0.0.1:4317"), " (gRPC), "]
    return empty("No telemetry yet", [*hint, "or run ", html.Code("meshscope demo"), "."], icon_name="signal")


def notice(fault: ApiFault) -> Component:
    """Return a friendly word about an answer that did not come."""
    words = [html.Strong(fault.title), html.Span(f" {fault.hint}" if fault.hint else "")]
    return html.Div([icon("warning"), html.Div(words)], className="notice", role="alert")


def remark(title: str, hint: str) -> Component:
    """Return a quiet word that a reader needs for not misreading what is shown."""
    return html.Div([icon("inbox"), html.Div([html.Strong(title), html.Span(f" {hint}")])], className="notice quiet", role="note")


def skeleton(height: int, classes: str = "") -> Component:
    """Return a quiet stand-in of ``height`` px for what is still loading."""
    return html.Div(className=f"skeleton {classes}", style={"height": f"{height}px"}, **{"aria-hidden": "true"})


def skeleton_tiles(number: int) -> Component:
    """Return stand-ins for tiles."""
    return tiles([html.Div(skeleton(58), className="tile") for _ in range(number)])


def heading(title: Any, note: Any = "", actions: Any = None) -> Component:
    """Return the head of a page."""
    words = html.Div([html.H1(title), html.P(note, className="page-note")], className="page-words")
    return html.Div([words, html.Div([] if actions is None else actions, className="page-actions")], className="page-head")
