"""Choosing one of several things by weight."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

Item = TypeVar("Item")


class WeightedChoice(Generic[Item]):
    """Returns each item as often as its weight says; ``chance`` gives a number uniform in [0, 1). Weights are above 0."""

    __slots__ = ("_bounds", "_chance", "_only", "items")

    def __init__(self, items: Sequence[Item], weights: Sequence[int], chance: Callable[[], float]) -> None:
        self.items = tuple(items)
        self._bounds, self._chance = list(accumulate(weights)), chance
        self._only = self.items[0] if len(self.items) == 1 else None

    def pick(self) -> Item:
        """Return one of the items."""
        if self._only is not None:
            return self._only
        return self.items[bisect_right(self._bounds, self._chance() * self._bounds[-1])]
