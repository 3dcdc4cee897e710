"""The topology as a Cytoscape graph: answers in, elements out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot, log10
from typing import Any

from dashboard.answers import Edge, Node, Topology
from dashboard.components import health, units
from dashboard.figures.layers import Placement, Spot, place

Element = dict[str, Any]
WIDTH, HEIGHT, ROUND = 172.0, 66.0, 52.0
BREAKER_WORDS = {"open": "OPEN", "half_open": "HALF-OPEN"}
CUES = {health.Health.OK: "✓", health.Health.WARN: "!", health.Health.BAD: "✕", health.Health.IDLE: "·"}
SHAPES = {
    health.Health.OK: "ellipse",
    health.Health.WARN: "triangle",
    health.Health.BAD: "diamond",
    health.Health.IDLE: "ellipse",
}


def elements(topology: Topology, *, selected: str = "") -> list[Element]:
    """Return the graph's elements: a card with texts per node, an arrow per edge, a badge per breaker that is not closed.

    ``selected`` is a node's id or ``source~destination``.
    """
    known = {node.id for node in topology.nodes}
    edges = [edge for edge in topology.edges if {edge.source, edge.destination} <= known]
    spots = place(known, [(edge.source, edge.destination) for edge in edges])
    kinds = {node.id: node.kind for node in topology.nodes}
    busiest = max((edge.rate for edge in edges), default=0.0)
    ports = _ports(edges, spots)
    drawn: list[Element] = []
    for node in topology.nodes:
        drawn += _card(node, _middle_of(node.id, spots, kinds), chosen=node.id == selected)
    for edge in edges:
        drawn += _arrow(edge, spots, ports[edge_id(edge)], kinds, busiest, chosen=edge_id(edge) == selected)
    return drawn


def edge_id(edge: Edge) -> str:
    """Return the name of an edge in links: ``source~destination``."""
    return f"{edge.source}~{edge.destination}"


def shape_of(topology: Topology) -> list[str]:
    """Return what a change of which makes the graph be fitted into view again: its nodes."""
    return sorted(node.id for node in topology.nodes)


def is_round(kind: str) -> bool:
    """Whether nodes of this kind are small and round: callers and things outside the mesh."""
    return kind == "external"


def _text(key: str, label: str, spot: Spot, classes: str, dx: float = 0.0, dy: float = 0.0) -> Element:
    return {
        "data": {"id": key, "label": label},
        "position": {"x": spot.x + dx, "y": spot.y + dy},
        "classes": f"text {classes}",
        "grabbable": False,
        "selectable": False,
    }


def _card(node: Node, spot: Spot, *, chosen: bool) -> list[Element]:
    verdict = health.of(node.rate, node.error_rate)
    classes = f"card {verdict} {node.kind}" + (" chosen" if chosen else "")
    card: Element = {
        "data": {"id": f"node:{node.id}", "name": node.id, "kind": "node"},
        "position": {"x": spot.x, "y": spot.y},
        "classes": classes,
        "grabbable": False,
    }
    if is_round(node.kind):
        return [card, _text(f"title:{node.id}", short(node.id, 16), spot, "title under", dy=ROUND / 2 + 12)]
    numbers = f"{units.rate(node.rate)}  ·  p99 {units.duration(node.p99_ms)}"
    if node.kind == "peer" and node.p99_ms is None:
        numbers = "outside the mesh"
    left = -WIDTH / 2 + 34
    return [
        card,
        _text(f"mark:{node.id}", CUES[verdict], spot, f"mark {verdict}", dx=-WIDTH / 2 + 18, dy=-13),
        _text(f"title:{node.id}", short(node.id, 13 if node.versions else 18), spot, "title left", dx=left, dy=-13),
        _text(f"version:{node.id}", short(" · ".join(node.versions), 10), spot, "version right", dx=WIDTH / 2 - 12, dy=-13),
        _text(f"numbers:{node.id}", numbers, spot, "numbers left", dx=-WIDTH / 2 + 12, dy=14),
    ]


def short(text: str, longest: int) -> str:
    """Return ``text``, cut with an ellipsis when longer than ``longest``."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


@dataclass(frozen=True, slots=True)
class _Ports:
    """Where an arrow leaves and arrives, as distance below the middle of its boxes."""

    leaves: float
    arrives: float


def _ports(edges: Sequence[Edge], spots: Placement) -> dict[str, _Ports]:
    """Give each arrow of a box its own port, in the order in which the other ends stand."""
    leaving: dict[str, list[Edge]] = {}
    arriving: dict[str, list[Edge]] = {}
    for edge in edges:
        leaving.setdefault(edge.source, []).append(edge)
        arriving.setdefault(edge.destination, []).append(edge)
    out = {edge_id(e): port for group in leaving.values() for e, port in _fan(group, spots, lambda e: e.destination)}
    into = {edge_id(e): port for group in arriving.values() for e, port in _fan(group, spots, lambda e: e.source)}
    return {key: _Ports(out[key], into[key]) for key in out}


def _fan(group: list[Edge], spots: Placement, other: Callable[[Edge], str]) -> list[tuple[Edge, float]]:
    group.sort(key=lambda edge: (spots.nodes[other(edge)].y, other(edge)))
    step = min(15.0, (HEIGHT - 18) / max(1, len(group) - 1))
    return [(edge, round((place - (len(group) - 1) / 2) * step, 1)) for place, edge in enumerate(group)]


def _middle_of(name: str, spots: Placement, kinds: Mapping[str, str]) -> Spot:
    """Return the middle of a box; a small one stands at the right of its column, near whom it calls."""
    spot = spots.nodes[name]
    return Spot(spot.x + (WIDTH - ROUND) / 2, spot.y) if is_round(kinds[name]) else spot


def _arrow(
    edge: Edge, spots: Placement, ports: _Ports, kinds: Mapping[str, str], busiest: float, *, chosen: bool
) -> list[Element]:
    verdict = health.of(edge.rate, edge.error_rate)
    source, target = _middle_of(edge.source, spots, kinds), _middle_of(edge.destination, spots, kinds)
    key = edge_id(edge)
    data: dict[str, Any] = {
        "id": f"edge:{key}",
        "name": key,
        "kind": "edge",
        "source": f"node:{edge.source}",
        "target": f"node:{edge.destination}",
        "label": f"{units.rate(edge.rate)} · {units.percent(edge.error_rate)}",
        "width": _width(edge.rate, busiest),
    }
    forward = target.x > source.x
    middle = Spot((source.x + target.x) / 2, (source.y + target.y) / 2)
    if forward:
        out = (ROUND if is_round(kinds[edge.source]) else WIDTH) / 2
        into = -(ROUND if is_round(kinds[edge.destination]) else WIDTH) / 2
        start = Spot(source.x + out, source.y + ports.leaves)
        finish = Spot(target.x + into, target.y + ports.arrives)
        bend = _bends(start, finish, spots.lanes.get((edge.source, edge.destination), ()))
        weights, distances = _controls(start, finish, bend)
        middle = _middle(bend)
        data |= {"weights": weights, "distances": distances}
        data |= {"leaves": f"{out}px {ports.leaves}px", "arrives": f"{into}px {ports.arrives}px"}
    classes = f"arrow {verdict} {'forward' if forward else 'back'}{' chosen' if chosen else ''}"
    drawn: list[Element] = [{"data": data, "classes": classes}]
    if edge.breaker_state in BREAKER_WORDS:
        label = BREAKER_WORDS[edge.breaker_state]
        drawn.append(_text(f"breaker:{key}", label, middle, f"breaker {edge.breaker_state}", dy=-20))
    return drawn


def _width(rate: float, busiest: float) -> float:
    """Return a width between 1.5 and 6 px that grows with the logarithm of the rate."""
    if rate <= 0 or busiest <= 0:
        return 1.5
    return round(1.5 + 4.5 * log10(1 + 9 * rate / busiest), 2)


def _bends(start: Spot, finish: Spot, lanes: Sequence[Spot]) -> list[Spot]:
    """Return control points of a line that leaves and arrives level, and runs level through its lanes."""
    stops = [start, *lanes, finish]
    points: list[Spot] = []
    for index, (a, b) in enumerate(pairwise(stops)):
        left = a.x + (WIDTH / 2 if index else 0)
        right = b.x - (WIDTH / 2 if index < len(stops) - 2 else 0)
        middle = (left + right) / 2
        points += [Spot(middle, a.y), Spot(middle, b.y)]
    return points


def _middle(bend: Sequence[Spot]) -> Spot:
    half = len(bend) // 2
    a, b = bend[half - 1], bend[half]
    return Spot((a.x + b.x) / 2, (a.y + b.y) / 2)


def _controls(start: Spot, finish: Spot, points: Sequence[Spot]) -> tuple[list[float], list[float]]:
    """Return points as Cytoscape wants them: share of the way from start to finish, and distance from that line."""
    dx, dy = finish.x - start.x, finish.y - start.y
    length = hypot(dx, dy) or 1.0
    weights, distances = [], []
    for point in points:
        px, py = point.x - start.x, point.y - start.y
        weights.append(round((px * dx + py * dy) / length**2, 4))
        distances.append(round((px * -dy + py * dx) / length, 2))
    return weights, distances
