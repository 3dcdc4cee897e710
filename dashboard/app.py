"""The dashboard as a whole: a Dash app on somebody else's FastAPI server."""

from pathlib import Path
from types import ModuleType

import httpx
from dash import Dash
from fastapi import FastAPI

from core.clock import Clock, SystemClock
from dashboard import shell
from dashboard.api import QueryApi
from dashboard.pages import alerts, breakers, service, topology, trace, traces

HERE = Path(__file__).parent
INDEX = """<!DOCTYPE html>
<html lang="en">
  <head>
    {%metas%}
    <title>{%title%}</title>
    <link rel="icon" type="image/svg+xml" href="/assets/icons/logo.svg">
    <script>
      (function () {
        var kept = null;
        try { kept = localStorage.getItem("meshscope-theme"); } catch (e) { /* storage may be forbidden */ }
        var dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
        var theme = kept === "dark" || kept === "light" ? kept : dark ? "dark" : "light";
        document.documentElement.dataset.theme = theme;
        document.documentElement.dataset.mantineColorScheme = theme;
      })();
    </script>
    {%css%}
  </head>
  <body>
    <noscript>Meshscope draws in the browser and needs JavaScript.</noscript>
    {%app_entry%}
    <footer>{%config%}{%scripts%}{%renderer%}</footer>
  </body>
</html>"""


def _page(module: ModuleType, icon: str = "", under: str = "") -> shell.Page:
    return shell.Page(module.PATH, module.TITLE, module.layout, module.register, icon, under)


def pages() -> dict[str, shell.Page]:
    """Return every page by its path, in the order of the navigation."""
    every = [
        _page(topology, "graph"),
        _page(service, "chart"),
        _page(traces, "list"),
        _page(trace, under=traces.PATH),
        _page(breakers, "shield"),
        _page(alerts, "bell"),
    ]
    return {page.path: page for page in every}


def mount(server: FastAPI, api: httpx.AsyncClient, *, clock: Clock | None = None) -> Dash:
    """Put the dashboard on ``server`` and return it.

    ``api`` has the query API as its base_url, including ``/api/v1``; its owner closes it. Call this last,
    and once per process: when the server starts, Dash answers every GET that no other route wants.
    """
    app = Dash(
        "dashboard.app",
        server=server,
        title="Meshscope",
        update_title=None,
        assets_folder=str(HERE / "assets"),
        pages_folder="",
        use_pages=False,
        serve_locally=True,
        index_string=INDEX,
        suppress_callback_exceptions=True,
        add_log_handler=False,
    )
    app.backend.websocket_capability = False  # callbacks go over HTTP; else every browser keeps an idle WebSocket open
    known = pages()
    questions = QueryApi(api, clock or SystemClock())
    app.layout = shell.frame(known)
    shell.register(app, known)
    for page in known.values():
        page.register(app, questions)
    app._setup_server()  # Dash does it at the first request to "/" only, and a browser may open any page first
    return app
