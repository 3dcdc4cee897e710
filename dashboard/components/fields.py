"""Inputs whose value is a parameter of the URL: what is chosen goes there, and comes back from there."""

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, html


def field_id(page: str, param: str) -> str:
    """Return the id of the input for one parameter; the browser reads the parameter from it."""
    return f"{page}--{param}"


def choice(
    page: str, param: str, label: str, options: Sequence[tuple[str, str]], value: str, *, quiet: bool = False, **more: Any
) -> Any:
    """Return a list to choose from: options are (value, text); a ``quiet`` label is for screen readers only."""
    known = options if any(option == value for option, _ in options) else [*options, (value, value)]
    data = [{"value": option, "label": text} for option, text in known if option or text]
    key = field_id(page, param)
    settings: dict[str, Any] = {
        "size": "xs",
        "allowDeselect": False,
        "checkIconPosition": "right",
        "comboboxProps": {"shadow": "md"},
    }
    select = dmc.Select(id=key, data=data, value=value, **(settings | more))
    return html.Div([html.Label(label, htmlFor=key, className="visually-hidden" if quiet else ""), select], className="field")


def toggle(page: str, param: str, label: str, value: bool) -> Any:
    """Return a switch; on is the value ``true`` of its parameter."""
    return html.Div(dmc.Switch(id=field_id(page, param), label=label, checked=value, size="sm"), className="field toggle")


def register(app: Dash, page: str, choices: Sequence[str], toggles: Sequence[str] = ()) -> None:
    """Let the inputs of a page change the URL."""
    act = ClientsideFunction("meshscope", "setParam")
    for params, prop in ((choices, "value"), (toggles, "checked")):
        for param in params:
            app.clientside_callback(act, Input(field_id(page, param), prop), prevent_initial_call=True)
