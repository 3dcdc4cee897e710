"""Inputs whose value is a parameter of the URL: what is chosen goes there, and comes back from there."""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html


def field_id(page: str, param: str) -> str:
    """Return the id of the input for one parameter; the browser reads the parameter from it."""
    return f"{page}--{param}"


def choice(
    page: str, param: str, label: str, options: Sequence[tuple[str, str]], value: str | None, *, quiet: bool = False, **more: Any
) -> Any:
    """Return a list to choose from: options are (value, text); a ``quiet`` label is for screen readers only."""
    known = options if value is None or any(option == value for option, _ in options) else [*options, (value, value)]
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


def pair(page: str, param: str, label: str, value: str, **more: Any) -> Any:
    """Return an input for ``name=value`` that suggests both; only a whole pair, or nothing, becomes the parameter."""
    key = field_id(page, param)
    settings: dict[str, Any] = {"size": "xs", "data": [], "debounce": 500, "clearable": True, "comboboxProps": {"shadow": "md"}}
    typed = dmc.Autocomplete(id=key, value=value, limit=50, **(settings | more))
    return html.Div([html.Label(label, htmlFor=key), typed], className="field")


def toggle(page: str, param: str, label: str, value: bool) -> Any:
    """Return a switch; on is the value ``true`` of its parameter."""
    return html.Div(dmc.Switch(id=field_id(page, param), label=label, checked=value, size="sm"), className="field toggle")


def defaults(page: str, values: Mapping[str, str | bool]) -> Any:
    """Return what keeps the values of inputs whose parameter the URL does not have; part of a page's layout."""
    return dcc.Store(id=f"{page}-defaults", data=dict(values))


def register(app: Dash, page: str, choices: Sequence[str], toggles: Sequence[str] = (), *, pairs: Sequence[str] = ()) -> None:
    """Let the inputs of a page change the URL, and follow it; nothing but the browser does that, so it cannot lag."""
    act, follow = ClientsideFunction("meshscope", "setParam"), ClientsideFunction("meshscope", "readParams")
    kept = State(f"{page}-defaults", "data")
    fields = [(param, "value") for param in choices] + [(param, "checked") for param in toggles]
    for param, prop in fields:
        app.clientside_callback(act, Input(field_id(page, param), prop), kept, prevent_initial_call=True)
    whole = ClientsideFunction("meshscope", "setPair")
    for param in pairs:
        app.clientside_callback(whole, Input(field_id(page, param), "value"), kept, prevent_initial_call=True)
    fields += [(param, "value") for param in pairs]
    outputs = [Output(field_id(page, param), prop) for param, prop in fields]
    app.clientside_callback(follow, outputs, Input("url", "search"), kept, prevent_initial_call=True)
