"""The order in which a trace reads: parents before their children, siblings by start."""

from collections.abc import Iterator, Sequence
from typing import Any

Row = dict[str, Any]


def tree_order(spans: Sequence[Row]) -> Iterator[tuple[Row, int]]:
    """Yield each of one trace's spans once, with its depth; ``spans`` are in order of start.

    A span whose parent is missing is a root. Ids that repeat or that form circles lose no span: a circle is entered at its
    earliest one.
    """
    first_with: dict[str, int] = {}
    for index, span in enumerate(spans):
        first_with.setdefault(span["span_id"], index)
    children: list[list[int]] = [[] for _ in spans]
    roots: list[int] = []
    for index, span in enumerate(spans):
        parent = first_with.get(span["parent_id"] or "")
        (roots if parent is None or parent == index else children[parent]).append(index)
    seen = [False] * len(spans)
    for root in (*roots, *range(len(spans))):
        for index, depth in _below(root, children, seen):
            yield spans[index], depth


def _below(root: int, children: Sequence[Sequence[int]], seen: list[bool]) -> Iterator[tuple[int, int]]:
    # Not recursive: a chain may be as deep as the trace is long.
    todo = [(root, 0)]
    while todo:
        index, depth = todo.pop()
        if not seen[index]:
            seen[index] = True
            yield index, depth
            todo.extend((child, depth + 1) for child in reversed(children[index]))
