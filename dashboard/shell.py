"""The frame around every page: navigation, time range, theme, and which page the URL asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboard import links, live
from dashboard.api import QueryApi
from dashboard.components import parts

EVERY_MS = 5000
MANTINE_THEME = {"fontFamily": "var(--font)", "primaryColor": "blue", "defaultRadius": "sm", "cursorType": "pointer"}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the dashboard; without ``icon`` it is not in the navigation and belongs to ``under``."""

    path: str
    title: str
    layout: Callable[..., Any]
    register: Callable[[Dash, QueryApi], None]
    icon: str = ""
    under: str = ""


def frame(pages: Mapping[str, Page]) -> Any:
    """Return the frame, with the pages' navigation and room for one page."""
    brand = html.A([html.Span(className="logo", **{"aria-hidden": "true"}), html.Span("Meshscope")], href="/", className="brand")
    pause = html.Button(
        [html.Span(className="pulse", **{"aria-hidden": "true"}), html.Span("Live", id="live-word")],
        id="live",
        className="live",
        title="Pause or resume live updates (every 5 s)",
        **{"aria-pressed": "true"},
    )
    theme = html.Button(
        [parts.icon("moon"), parts.icon("sun")],
        id="theme-switch",
        className="icon-button theme-switch",
        title="Switch between light and dark",
        **{"aria-label": "Switch between light and dark theme"},
    )
    header = html.Header(
        [
            html.A("Skip to content", href="#page", className="skip"),
            brand,
            html.Div(navigation(pages, "/", {}), id="navigation"),
            html.Div([html.Div(ranges("/", {}), id="ranges"), pause, theme], className="header-tools"),
        ],
        className="header",
    )
    body = html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Interval(id=live.TICK, interval=EVERY_MS),
            dcc.Store(id="theme", storage_type="memory"),
            dcc.Store(id="shown"),
            header,
            html.Main(html.Div(parts.skeleton(400), className="page"), id="page", tabIndex="-1"),
        ],
        className="shell",
    )
    return dmc.MantineProvider(body, id="mantine", theme=MANTINE_THEME)


def navigation(pages: Mapping[str, Page], path: str, params: links.Params) -> Any:
    """Return links to every page; they take the time range along."""
    here = pages[path].under or path if path in pages else ""
    carried = links.carried(params)
    items = [
        html.A(
            [parts.icon(page.icon), page.title],
            href=links.href(page.path, carried),
            **({"aria-current": "page"} if page.path == here else {}),
        )
        for page in pages.values()
        if page.icon
    ]
    return html.Nav(items, className="nav", **{"aria-label": "Pages"})


def ranges(path: str, params: links.Params) -> Any:
    """Return the time ranges as links to the same page."""
    chosen = links.since_of(params)
    choices = [(since, links.href(path, params, since=since), since == chosen) for since in links.RANGES]
    return parts.switch("Time range", choices, "ranges")


def nothing_here(path: str) -> Any:
    """Return the page for a path that leads nowhere."""
    back = parts.link("Go to the topology", "/")
    return html.Div(
        [parts.heading("No such page"), parts.empty(f"Nothing is at {path}", back, icon_name="warning")], className="page"
    )


def register(app: Dash, pages: Mapping[str, Page]) -> None:
    """Let the URL choose the page, and connect theme, live switch and title."""

    def route(pathname: str | None, search: str | None, shown: str | None) -> tuple[Any, ...]:
        path = pathname or "/"
        params = links.params_of(search)
        page = pages.get(path)
        title = f"{_subject(page, params)} · Meshscope" if page else "Meshscope"
        content: Any = no_update
        if path != shown:
            content = page.layout(**params) if page else nothing_here(path)
        return content, navigation(pages, path, params), ranges(path if page else "/", params), {"path": path, "title": title}

    def route_shown(pathname: str | None, search: str | None, shown: dict[str, str] | None) -> tuple[Any, ...]:
        return route(pathname, search, (shown or {}).get("path"))

    app.callback(
        [Output("page", "children"), Output("navigation", "children"), Output("ranges", "children"), Output("shown", "data")],
        [Input("url", "pathname"), Input("url", "search")],
        State("shown", "data"),
    )(route_shown)
    browser = "meshscope"
    app.clientside_callback(ClientsideFunction(browser, "title"), Input("shown", "data"))
    app.clientside_callback(
        ClientsideFunction(browser, "theme"),
        [Output("theme", "data"), Output("mantine", "forceColorScheme")],
        Input("theme-switch", "n_clicks"),
    )
    app.clientside_callback(
        ClientsideFunction(browser, "pause"),
        [Output(live.TICK, "disabled"), Output("live-word", "children"), Output("live", "aria-pressed")],
        Input("live", "n_clicks"),
    )


def _subject(page: Page, params: links.Params) -> str:
    subject = params.get("service") or params.get("id", "")[:8]
    return f"{page.title}: {subject}" if subject else page.title
