"""Where the time of a call goes: from the caller through both proxies into the callee."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from dash import html

from dashboard.answers import Edge
from dashboard.components import palette, parts, units

CALLER, OUT_PROXY, IN_PROXY, CALLEE = range(4)
# The way in quiet colours, what the callee does in the strongest; a colour belongs to where a leg begins.
TONES = (palette.SERIES[4], palette.SERIES[5], palette.SERIES[8], palette.SERIES[0])


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch of a call's way and the mean time that is spent there and nowhere further; ``tone`` is a colour."""

    words: str
    ms: float
    tone: str


def legs(edge: Edge) -> list[Leg]:
    """Return the legs between those who saw the call, in its order; none when fewer than two did.

    Not all of them need to have seen the same calls: only the caller's side knows of one that a circuit refused. Nobody counts
    for more than who stands before, and all legs together are what the first one saw.
    """
    told = (edge.hops.caller_ms, edge.hops.out_proxy_ms, edge.hops.in_proxy_ms, edge.hops.callee_ms)
    known = [(place, ms) for place, ms in enumerate(told) if ms is not None]
    if len(known) < 2:
        return []
    seen = list(accumulate(known, lambda before, one: (one[0], min(before[1], one[1]))))
    way = [Leg(_between(here, there, edge), ms - further, TONES[here]) for (here, ms), (there, further) in pairwise(seen)]
    last, ms = seen[-1]
    return [*way, Leg(_behind(last, edge), ms, TONES[last])]


def _between(here: int, there: int, edge: Edge) -> str:
    start = edge.source if here == CALLER else "proxy"
    end = edge.destination if there == CALLEE else "its proxy" if there == OUT_PROXY else "proxy"
    return f"{start} → {end}"


def _behind(last: int, edge: Edge) -> str:
    return f"in {edge.destination} itself" if last == CALLEE else "behind the proxy"


def where_the_time_goes(edge: Edge) -> Any:
    """Return a bar of the legs and what each of them takes; nothing when there is nothing to compare."""
    found = legs(edge)
    whole = sum(leg.ms for leg in found)
    if not whole:
        return None
    bar = html.Div(
        [html.Span(style={"width": f"{leg.ms / whole * 100:.1f}%", "--tone": leg.tone}) for leg in found],
        className="legs-bar",
        **{"aria-hidden": "true"},
    )
    note = html.Span(f"{units.duration(whole)} on average", className="panel-note num")
    head = html.Div([html.H3("Where the time goes"), note], className="legs-head")
    return html.Div([head, bar, _list(found, whole)], className="legs")


def _list(found: Sequence[Leg], whole: float) -> Any:
    rows = [
        parts.row(
            [
                html.Div([html.Span(className="swatch", style={"--tone": leg.tone}), html.Span(leg.words)], className="with-cue"),
                units.duration(leg.ms),
                units.percent(leg.ms / whole),
            ],
            numeric=(1, 2),
        )
        for leg in found
    ]
    return parts.table(("On the way", "Time", "Share"), rows, numeric=(1, 2), caption="Where the time of a call goes")
