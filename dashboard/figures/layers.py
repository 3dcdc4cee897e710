"""A layered layout, left to right: callers stand left of those they call.

After Sugiyama, Tagawa and Toda (1981): break cycles, rank by longest path, give long arrows a lane in every
rank they cross, order ranks by barycentre, then move boxes to the mean of their neighbours (pool adjacent
violators keeps the distances). Names decide ties, so the same graph always gets the same picture.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

COLUMN = 286.0
ROW = 146.0
LANE = 64.0
SWEEPS = 12
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the middle of a box or a lane is."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Where everything goes; ``lanes`` holds the points a long arrow passes, from its source on."""

    nodes: Mapping[str, Spot]
    lanes: Mapping[Pair, tuple[Spot, ...]]


@dataclass(frozen=True, slots=True)
class _Cell:
    """A box, or the lane of the arrow ``pair`` in one rank."""

    name: str
    pair: Pair | None = None


def place(names: Iterable[str], pairs: Iterable[Pair]) -> Placement:
    """Return a spot for every name; arrows to unknown names and to oneself are ignored."""
    known = sorted(set(names))
    arrows = sorted({(a, b) for a, b in pairs if a != b and a in set(known) and b in set(known)})
    forward = _without_cycles(known, arrows)
    ranks = _ranks(known, forward)
    columns, links = _cells(ranks, forward)
    _order(columns, links)
    spots = _spots(columns, links)
    lanes = {pair: tuple(spots[cell] for column in columns for cell in column if cell.pair == pair) for pair in forward}
    return Placement(
        nodes={cell.name: spot for cell, spot in spots.items() if cell.pair is None},
        lanes={pair: points for pair, points in lanes.items() if points},
    )


def _without_cycles(names: Sequence[str], arrows: Sequence[Pair]) -> list[Pair]:
    callees: dict[str, list[str]] = {name: [] for name in names}
    called = {b for _, b in arrows}
    for a, b in arrows:
        callees[a].append(b)
    kept: list[Pair] = []
    done: set[str] = set()
    for root in sorted(names, key=lambda name: (name in called, name)):
        if root in done:
            continue
        open_now = {root}
        stack = [(root, iter(callees[root]))]
        while stack:
            here, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                open_now.discard(here)
                done.add(here)
            elif following not in open_now:
                kept.append((here, following))
                if following not in done:
                    open_now.add(following)
                    stack.append((following, iter(callees[following])))
    return kept


def _ranks(names: Sequence[str], arrows: Sequence[Pair]) -> dict[str, int]:
    callees: dict[str, list[str]] = {name: [] for name in names}
    waiting = dict.fromkeys(names, 0)
    for a, b in arrows:
        callees[a].append(b)
        waiting[b] += 1
    sources = [name for name in names if not waiting[name]]
    ranks = dict.fromkeys(names, 0)
    ready = list(sources)
    while ready:
        here = ready.pop()
        for following in callees[here]:
            ranks[following] = max(ranks[following], ranks[here] + 1)
            waiting[following] -= 1
            if not waiting[following]:
                ready.append(following)
    for name in sources:  # a caller stands next to whom it calls
        if callees[name]:
            ranks[name] = min(ranks[following] for following in callees[name]) - 1
    return ranks


def _cells(ranks: Mapping[str, int], arrows: Sequence[Pair]) -> tuple[list[list[_Cell]], list[tuple[_Cell, _Cell]]]:
    columns: list[list[_Cell]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    boxes = {name: _Cell(name) for name in ranks}
    for name, rank in ranks.items():
        columns[rank].append(boxes[name])
    links: list[tuple[_Cell, _Cell]] = []
    for a, b in arrows:
        here = boxes[a]
        for rank in range(ranks[a] + 1, ranks[b]):
            lane = _Cell(str(rank), (a, b))
            columns[rank].append(lane)
            links.append((here, lane))
            here = lane
        links.append((here, boxes[b]))
    return columns, links


def _neighbours(links: Iterable[tuple[_Cell, _Cell]]) -> tuple[dict[_Cell, list[_Cell]], dict[_Cell, list[_Cell]]]:
    before: dict[_Cell, list[_Cell]] = {}
    after: dict[_Cell, list[_Cell]] = {}
    for a, b in links:
        after.setdefault(a, []).append(b)
        before.setdefault(b, []).append(a)
    return before, after


def _order(columns: list[list[_Cell]], links: Sequence[tuple[_Cell, _Cell]]) -> None:
    before, after = _neighbours(links)
    best = [list(column) for column in columns]
    fewest = _crossings(columns, links)
    for sweep in range(SWEEPS):
        near = after if sweep % 2 else before
        for column in reversed(columns) if sweep % 2 else columns:
            places = {cell: place for other in columns for place, cell in enumerate(other)}
            middle = {cell: _mean([places[n] for n in near.get(cell, [])], places[cell]) for cell in column}
            column.sort(key=middle.__getitem__)
        crossings = _crossings(columns, links)
        if crossings < fewest:
            best, fewest = [list(column) for column in columns], crossings
    columns[:] = best


def _crossings(columns: Sequence[Sequence[_Cell]], links: Sequence[tuple[_Cell, _Cell]]) -> int:
    places = {cell: (rank, place) for rank, column in enumerate(columns) for place, cell in enumerate(column)}
    by_rank: dict[int, list[tuple[int, int]]] = {}
    for a, b in links:
        by_rank.setdefault(places[a][0], []).append((places[a][1], places[b][1]))
    total = 0
    for ends in by_rank.values():
        ends.sort()
        for index, (_, low) in enumerate(ends):
            total += sum(1 for left, right in ends[:index] if right > low and left != ends[index][0])
    return total


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _spots(columns: Sequence[Sequence[_Cell]], links: Sequence[tuple[_Cell, _Cell]]) -> dict[_Cell, Spot]:
    before, after = _neighbours(links)
    heights: dict[_Cell, float] = {}
    for column in columns:
        gaps = _gaps(column)
        for cell, offset in zip(column, gaps, strict=True):
            heights[cell] = offset - gaps[-1] / 2
    for sweep in range(SWEEPS):
        near = after if sweep % 2 else before
        for column in reversed(columns) if sweep % 2 else columns:
            wished = [_mean([heights[n] for n in near.get(cell, [])], heights[cell]) for cell in column]
            for cell, height in zip(column, _spread(wished, _gaps(column)), strict=True):
                heights[cell] = height
    return {cell: Spot(rank * COLUMN, round(heights[cell], 1)) for rank, column in enumerate(columns) for cell in column}


def _gaps(column: Sequence[_Cell]) -> list[float]:
    """Return for each cell how far below the first one it stands at least."""
    offsets: list[float] = []
    for index, cell in enumerate(column):
        if not index:
            offsets.append(0.0)
            continue
        boxes = (cell.pair is None) + (column[index - 1].pair is None)
        offsets.append(offsets[-1] + (LANE, (LANE + ROW) / 2, ROW)[boxes])
    return offsets


def _spread(wished: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """Return the heights nearest to the wished ones (least squares) that keep the distances."""
    blocks: list[tuple[float, int]] = []
    for wish, offset in zip(wished, offsets, strict=True):
        blocks.append((wish - offset, 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (b, m), (a, n) = blocks.pop(), blocks.pop()
            blocks.append(((a * n + b * m) / (n + m), n + m))
    flat = [level for level, size in blocks for _ in range(size)]
    return [level + offset for level, offset in zip(flat, offsets, strict=True)]
