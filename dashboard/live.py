"""What every page shares: it is filled when its URL changes, and again at every tick."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from dash import Dash, Input, Output, State, ctx, html, no_update
from dash.exceptions import PreventUpdate

from dashboard import links
from dashboard.api import ApiFault
from dashboard.components import parts, units

TICK = "tick"
Fill = Callable[..., Awaitable[Sequence[Any]]]


def slots(page: str) -> list[Any]:
    """Return what a page needs besides its own parts: the place for a notice."""
    return [html.Div(id=f"{page}-notice", className="notices")]


def fill(app: Dash, page: str, path: str, outputs: Sequence[Output], answer: Fill, *, states: Sequence[State] = ()) -> None:
    """Fill ``outputs`` from ``answer(params, *states)`` when the URL changes and at every tick.

    When the API gives no answer, what is shown stays, and a notice says why.
    """
    notice = Output(f"{page}-notice", "children")
    keep = [no_update] * len(outputs)

    async def refresh(search: str, _tick: int, pathname: str, *given: Any) -> list[Any]:
        if pathname != path:
            raise PreventUpdate
        try:
            found = await answer(links.params_of(search), *given)
        except ApiFault as fault:
            return [*keep, parts.notice(fault)]
        return [*found, None]

    inputs = [Input("url", "search"), Input(TICK, "n_intervals")]
    app.callback([*outputs, notice], inputs, [State("url", "pathname"), *states])(refresh)


def is_tick() -> bool:
    """Whether the callback that runs was called by the clock, not by a person."""
    return bool(ctx.triggered_id == TICK)


def as_of(moment: Any) -> str:
    """Return the note that says how fresh a page is."""
    return f"as of {units.clock(moment)} UTC"
