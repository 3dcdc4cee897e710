"""Which requests are refused when few succeed: Envoy's admission control."""

from collections import deque
from dataclasses import dataclass, field

from mesh_model.door_policies import AdmissionControl


@dataclass(slots=True)
class Admission:
    """Ask ``admits`` before each request (with a chance in [0, 1)), tell ``ended`` after it. Counts by whole seconds."""

    policy: AdmissionControl
    refused: int = 0
    requests: int = 0
    successes: int = 0
    _seconds: deque[list[int]] = field(default_factory=deque)

    def admits(self, chance: float, now: float) -> bool:
        """Tell whether a request may enter now."""
        self._forget(now)
        if chance < self.refusal_probability():
            self.refused += 1
            return False
        return True

    def ended(self, *, well: bool, now: float) -> None:
        """Count an admitted request that is over."""
        self._forget(now)
        second = int(now)
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        self._seconds[-1][1] += 1
        self._seconds[-1][2] += well
        self.requests += 1
        self.successes += well

    def refusal_probability(self) -> float:
        """Return ((n - s / threshold) / (n + 1)) ^ (1 / aggression), at most the most; 0 while there is little traffic."""
        policy, total = self.policy, self.requests
        if total / policy.window_s < policy.least_rps:
            return 0.0
        excess = (total - self.successes / policy.threshold) / (total + 1)
        return min(policy.most_refused, float(excess ** (1 / policy.aggression))) if excess > 0 else 0.0

    def _forget(self, now: float) -> None:
        """Leave out the seconds that are older than the window."""
        while self._seconds and self._seconds[0][0] <= now - self.policy.window_s:
            _, requests, successes = self._seconds.popleft()
            self.requests -= requests
            self.successes -= successes
