"""The golden signals of one way through the proxy: how many requests, how they ended, how long they took."""

from bisect import bisect_left
from dataclasses import dataclass, field

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds; Prometheus' usual ones, and two below them."""


@dataclass(slots=True)
class Signals:
    """Counters of one route towards one target. ``statuses`` by hundreds (0: none), ``buckets`` by the bound not exceeded."""

    statuses: list[int] = field(default_factory=lambda: [0] * 6)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0

    def done(self, hundreds: int, seconds: float) -> None:
        """Count a request that was answered with a status of these hundreds after so long."""
        self.statuses[hundreds] += 1
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
