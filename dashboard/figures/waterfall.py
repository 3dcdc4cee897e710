"""A trace as a waterfall: spans in, bars out; proxy hops can be folded into the calls they carry."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.answers import Span, Trace
from dashboard.components import palette

APP = "app"
MOST = 1000


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: a span, how deep it stands, and where its bar lies as shares of the whole width.

    ``folded`` counts the proxy hops between this row and the one above it in the tree that are not shown.
    """

    span: Span
    depth: int
    left: float
    width: float
    colour: str
    folded: int = 0

    @property
    def is_proxy(self) -> bool:
        """Whether a proxy told this span."""
        return self.span.hop != APP


def bars(trace: Trace, *, fold: bool = False) -> list[Bar]:
    """Return the rows in tree order; with ``fold`` without the hops that only carry a call."""
    hidden = foldable(trace.spans) if fold else frozenset()
    whole = extent(trace)
    colours = palette.by_name(span.service for span in trace.spans)
    by_id = {span.span_id: span for span in trace.spans}
    depths: dict[str, int] = {}
    rows: list[Bar] = []
    for span in trace.spans:
        if span.span_id in hidden:
            continue
        parent, folded = _shown_parent(span, by_id, hidden)
        depths[span.span_id] = depths.get(parent, -1) + 1
        left = min(1.0, max(0.0, span.offset_ms / whole))
        width = min(1.0 - left, max(0.0, span.duration_ms / whole))
        rows.append(Bar(span, depths[span.span_id], left, width, colours[span.service], folded))
    return rows


def extent(trace: Trace) -> float:
    """Return the ms from the start of the trace to the end of its last span; never 0."""
    ends = [span.offset_ms + span.duration_ms for span in trace.spans]
    return max([trace.duration_ms, *ends]) or 1.0


def foldable(spans: Sequence[Span]) -> frozenset[str]:
    """Return the hops that say nothing a shown span does not say.

    A proxy's span goes when its service has app spans, an outbound one also without; a failed hop that led
    nowhere (an open circuit, a refused connection) stays, as does the only span of a service.
    """
    parents = {span.parent_id for span in spans}
    has_app = {span.service for span in spans if span.hop == APP}
    receives = {span.service for span in spans if span.hop in ("inbound", "proxy")}
    gone = set()
    for span in spans:
        ends_here = span.error and span.span_id not in parents
        told_elsewhere = span.service in has_app or (span.hop == "outbound" and span.service in receives)
        if span.hop != APP and told_elsewhere and not ends_here:
            gone.add(span.span_id)
    return frozenset(gone)


def _shown_parent(span: Span, by_id: Mapping[str, Span], hidden: frozenset[str]) -> tuple[str, int]:
    folded = 0
    seen = {span.span_id}
    above = by_id.get(span.parent_id or "")
    while above is not None and above.span_id in hidden and above.span_id not in seen:
        seen.add(above.span_id)
        folded += 1
        above = by_id.get(above.parent_id or "")
    return (above.span_id if above is not None else ""), folded


def ticks(whole_ms: float, wanted: int = 5) -> list[float]:
    """Return round moments in ms from 0 on, about ``wanted`` of them, none beyond ``whole_ms``."""
    rough = whole_ms / wanted
    power = 10.0 ** len(str(int(rough))) / 10 if rough >= 1 else 1.0
    while power > rough:
        power /= 10
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [step * place for place in range(int(whole_ms / step) + 1)]


def services_of(spans: Iterable[Span]) -> dict[str, str]:
    """Return the colour of each service."""
    return palette.by_name(span.service for span in spans)
