"""Colours that drawings share; told apart by people with colour-blindness (after Paul Tol's schemes)."""

from collections.abc import Iterable

SERIES = ("#3b82c4", "#e07b39", "#2a9d8f", "#b0569c", "#c9a227", "#7a86d1", "#5fa55a", "#c7556b", "#5aa9c9", "#8d7b6c")
OPEN, HALF_OPEN, CLOSED = "#cc3311", "#e6a117", "#2a9d8f"


def by_name(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each name: the same set of names always gets the same colours."""
    return {name: SERIES[place % len(SERIES)] for place, name in enumerate(sorted(set(names)))}
