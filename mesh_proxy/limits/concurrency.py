"""How many requests at a time: Envoy's gradient controller, which takes growing latency as the sign of a queue."""

from dataclasses import dataclass, field
from math import sqrt
from statistics import median

from mesh_model.door_policies import AdaptiveConcurrency

MOST_SAMPLES = 1_000
"""Latencies kept between two updates; further ones do not count."""
AT_LEAST_UPDATES = 5
"""After so many updates in a row at the least limit the best latency is measured anew, as in Envoy."""
STEEPEST, SHALLOWEST = 0.5, 2.0


@dataclass(slots=True)
class Gradient:
    """Ask ``enter`` before each request and tell ``leave`` after it. While the best latency is measured, ``least`` may enter."""

    policy: AdaptiveConcurrency
    limit: int = 0
    inside: int = 0
    refused: int = 0
    best_s: float = 0.0
    _samples: list[float] = field(default_factory=list)
    _update_at: float = 0.0
    _measure_at: float = 0.0
    _measuring: bool = True
    _limit_before: int = 0
    _at_least: int = 0

    def __post_init__(self) -> None:
        self.limit = self._limit_before = self.policy.least

    def enter(self, now: float) -> bool:
        """Tell whether a request may enter now, and count it in."""
        if not self._measuring and now >= self._measure_at:
            self._measuring, self._limit_before = True, self.limit
            self.limit = self.policy.least
            self._samples.clear()
        if self.inside >= self.limit:
            self.refused += 1
            return False
        self.inside += 1
        return True

    def leave(self, latency_s: float | None, now: float) -> None:
        """Count a request out; ``latency_s`` None: it says nothing (its client left)."""
        self.inside -= 1
        if latency_s is not None and len(self._samples) < MOST_SAMPLES:
            self._samples.append(latency_s)
        if self._measuring:
            if len(self._samples) >= self.policy.measure_requests:
                self._measured(now)
        elif now >= self._update_at and self._samples:
            self._update(now)

    def next_limit(self, sample_s: float) -> int:
        """Return gradient * limit + sqrt(limit), where gradient = best * (1 + buffer) / sample, within its bounds."""
        gradient = self.best_s * (1 + self.policy.buffer) / sample_s if sample_s > 0 else SHALLOWEST
        gradient = min(SHALLOWEST, max(STEEPEST, gradient))
        wanted = gradient * self.limit
        return int(min(self.policy.most, max(self.policy.least, wanted + sqrt(wanted))))

    def _update(self, now: float) -> None:
        self.limit = self.next_limit(median(self._samples))
        self._samples.clear()
        self._update_at = now + self.policy.update_s
        self._at_least = self._at_least + 1 if self.limit == self.policy.least else 0
        if self._at_least >= AT_LEAST_UPDATES:  # the best latency of former times may be out of reach
            self._at_least, self._measure_at = 0, now

    def _measured(self, now: float) -> None:
        self.best_s = median(self._samples)
        self._samples.clear()
        self._measuring = False
        self.limit = self._limit_before
        self._measure_at, self._update_at = now + self.policy.measure_s, now + self.policy.update_s
