"""Circuit breakers over time: a row per breaker, a bar per state it was in."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from html import escape

import plotly.graph_objects as go

from dashboard.answers import BreakerEdge, Interval
from dashboard.components import palette, units
from dashboard.figures.charts import AXIS, frame

ROW = 30
STATES = (
    ("closed", "Closed", palette.CLOSED, "", 0.38),
    ("half_open", "Half-open", palette.HALF_OPEN, "/", 1.0),
    ("open", "Open", palette.OPEN, "", 1.0),
)
URGENCY = {"open": 0, "half_open": 1}
LONGEST = 34


def ordered(edges: Sequence[BreakerEdge]) -> list[BreakerEdge]:
    """Return breakers, open ones first, then those that were not always closed, then by name."""
    return sorted(
        edges,
        key=lambda edge: (
            URGENCY.get(edge.state, 2),
            all(_closed(one) for one in edge.intervals),
            edge.source,
            edge.destination,
            edge.target,
        ),
    )


def names(edges: Sequence[BreakerEdge]) -> list[str]:
    """Return what each breaker is called: who calls whom, and which target where a pair has several."""
    pairs = Counter((edge.source, edge.destination) for edge in edges)
    return [
        f"{edge.source} → {edge.destination}" + (f" ({edge.target})" if pairs[edge.source, edge.destination] > 1 else "")
        for edge in edges
    ]


def timeline(edges: Sequence[BreakerEdge], start: datetime, end: datetime) -> go.Figure:
    """Return the states of every breaker between ``start`` and ``end``."""
    rows = ordered(edges)
    labels = [_label(told) for told in names(rows)]
    figure = go.Figure()
    for state, word, colour, pattern, opacity in STATES:
        found = [(place, one) for place, edge in enumerate(rows) for one in edge.intervals if one.state == state]
        figure.add_trace(
            go.Bar(
                orientation="h",
                y=[place for place, _ in found],
                base=[one.start for _, one in found],
                x=[(one.end - one.start).total_seconds() * 1000 for _, one in found],
                width=0.56,
                name=word,
                marker={
                    "color": colour,
                    "opacity": opacity,
                    "line": {"width": 0},
                    "pattern": {"shape": pattern, "size": 6, "solidity": 0.35},
                },
                customdata=[[labels[place], *_told(one)] for place, one in found],
                hovertemplate=f"%{{customdata[0]}}<br>{word} for %{{customdata[1]}}<br>%{{customdata[2]}}<extra></extra>",
            )
        )
    figure.update_layout(**frame(start, end), height=height(len(rows)), barmode="overlay", showlegend=True)
    figure.update_layout(hovermode="closest", margin={"l": 12, "r": 16, "t": 26, "b": 24})
    ticks = {"tickvals": list(range(len(rows))), "ticktext": labels}
    figure.update_yaxes(
        AXIS | ticks | {"range": [len(rows) - 0.5, -0.5], "fixedrange": True, "showgrid": False, "automargin": True}
    )
    return figure


def height(rows: int) -> int:
    """Return the height in px that ``rows`` breakers need."""
    return 58 + ROW * max(1, rows)


def openings(edges: Sequence[BreakerEdge]) -> int:
    """Return how often a circuit was opened within the window."""
    return sum(1 for edge in edges for one in edge.intervals if one.state == "open")


def _closed(one: Interval) -> bool:
    return one.state == "closed"


def _label(told: str) -> str:
    return escape(told if len(told) <= LONGEST else told[: LONGEST - 1] + "…")


def _told(one: Interval) -> tuple[str, str]:
    return units.span_of((one.end - one.start).total_seconds()), f"{units.clock(one.start)} to {units.clock(one.end)} UTC"
