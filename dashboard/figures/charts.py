"""Golden signals over time: series in, Plotly figures out.

A figure says nothing about themes: text, grid and hover boxes get their colours from assets/5-charts.css.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

import plotly.graph_objects as go

from dashboard.answers import Point, Series
from dashboard.components import palette

HEIGHT = 178
SINGLE = palette.SERIES[0]
ERRORS = palette.OPEN
PERCENTILES = (("p99", "solid", 1.8), ("p95", "dash", 1.4), ("p50", "dot", 1.4))
SHADES = {"p99": "#c7556b", "p95": "#c9a227", "p50": "#3b82c4"}


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    colour: str
    values: Sequence[float | None]
    dash: str = "solid"
    width: float = 1.8
    filled: bool = False


def rate(series: Sequence[Series], start: datetime, end: datetime) -> go.Figure:
    """Return requests per second, a line per group."""
    return _chart(series, _plain(series, lambda point: point.rate, SINGLE), start, end, unit="/s")


def errors(series: Sequence[Series], start: datetime, end: datetime) -> go.Figure:
    """Return the share of failed requests in percent, a line per group."""
    lines = _plain(series, lambda point: None if point.error_rate is None else point.error_rate * 100, ERRORS)
    return _chart(series, lines, start, end, unit=" %", least=1.0)


def saturation(series: Sequence[Series], start: datetime, end: datetime) -> go.Figure:
    """Return requests in flight, a line per group."""
    return _chart(series, _plain(series, lambda point: point.in_flight, palette.SERIES[5]), start, end, unit="")


def latency(series: Sequence[Series], start: datetime, end: datetime) -> go.Figure:
    """Return p50, p95 and p99 in ms; with groups, a colour per group and a dash per percentile."""
    tones = palette.by_name(one.group for one in series)
    lines = []
    for one in series:
        for name, dash, width in PERCENTILES:
            values = [_percentile(point, name) for point in one.points]
            label = f"{group_name(one.group)} {name}" if one.group else name
            colour = tones[one.group] if one.group else SHADES[name]
            lines.append(_Line(label, colour, values, dash if one.group else "solid", width))
    return _chart(series, lines, start, end, unit=" ms")


def blank() -> go.Figure:
    """Return a figure that shows nothing: what stands before the first answer."""
    hidden = {"visible": False}
    clear = "rgba(0,0,0,0)"
    return go.Figure(layout={"template": None, "paper_bgcolor": clear, "plot_bgcolor": clear, "xaxis": hidden, "yaxis": hidden})


def group_name(group: str) -> str:
    """Return how a group is called; one without a name gets one."""
    return group or "(none)"


def _percentile(point: Point, name: str) -> float | None:
    return {"p50": point.p50_ms, "p95": point.p95_ms, "p99": point.p99_ms}[name]


def _plain(series: Sequence[Series], value: Callable[[Point], float | None], single: str) -> list[_Line]:
    tones = palette.by_name(one.group for one in series)
    alone = len(series) == 1 and not series[0].group
    return [
        _Line(group_name(one.group), single if alone else tones[one.group], [value(point) for point in one.points], filled=alone)
        for one in series
    ]


def _chart(
    series: Sequence[Series], lines: Sequence[_Line], start: datetime, end: datetime, *, unit: str, least: float = 0.0
) -> go.Figure:
    times = {id_: [point.t for point in one.points] for id_, one in enumerate(series)}
    per_series = len(lines) // max(1, len(series))
    figure = go.Figure()
    for place, line in enumerate(lines):
        figure.add_trace(
            go.Scatter(
                x=times[place // max(1, per_series)],
                y=line.values,
                name=escape(line.name),
                mode="lines",
                line={"color": line.colour, "dash": line.dash, "width": line.width},
                fill="tozeroy" if line.filled else None,
                fillcolor=_faint(line.colour) if line.filled else None,
                hovertemplate="%{y:.3~g}" + unit,
            )
        )
    highest = max((value for line in lines for value in line.values if value is not None), default=0.0)
    figure.update_layout(**frame(start, end), height=HEIGHT, showlegend=len(lines) > 1)
    figure.update_layout(margin={"l": 56, "r": 12, "t": 26 if len(lines) > 1 else 8, "b": 22})
    figure.update_yaxes(range=[0, max(highest * 1.12, least) or 1.0], nticks=5, ticksuffix=unit, fixedrange=True, **AXIS)
    return figure


AXIS: dict[str, Any] = {
    "showline": False,
    "zeroline": False,
    "gridwidth": 1,
    "tickfont": {"size": 11},
    "ticks": "outside",
    "ticklen": 5,
    "tickcolor": "rgba(0,0,0,0)",
    "automargin": False,
}


def frame(start: datetime, end: datetime) -> dict[str, Any]:
    """Return what all figures over time share: a time axis in UTC, one hover box, no own background."""
    return {
        "template": None,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Liberation Sans, sans-serif", "size": 12},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "font": {"size": 12}, "itemclick": "toggleothers"},
        "xaxis": {
            "type": "date",
            "range": [start, end],
            "showgrid": False,
            "fixedrange": True,
            "nticks": 7,
            "tickformat": "%H:%M",
            "hoverformat": "%H:%M:%S UTC",
        }
        | AXIS,
        "uirevision": "same",
        "dragmode": False,
    }


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.12)"
