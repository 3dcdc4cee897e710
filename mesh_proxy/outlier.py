"""Which endpoints of a target are left alone, and for how long: Envoy's arithmetic for consecutive server errors."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from mesh_model.resources import OutlierDetection

LONGEST_EJECTION_S = 300.0
SHORTEST_SWEEP_S = 0.05


@dataclass(slots=True, eq=False)
class Endpoint:
    """One address of a target, and its record. ``ejected_at`` is None while it gets traffic."""

    address: str
    failures: int = 0
    multiplier: int = 0
    ejected_at: float | None = None


@dataclass(slots=True)
class OutlierDetector:
    """Ejects an endpoint after ``max_server_errors`` in a row, if few enough are ejected already; one always may be."""

    policy: OutlierDetection | None
    endpoints: list[Endpoint] = field(default_factory=list)
    sweep_at: float = inf
    refused_ejections: int = 0

    @property
    def ejected(self) -> list[Endpoint]:
        """The endpoints that are left alone now."""
        return [endpoint for endpoint in self.endpoints if endpoint.ejected_at is not None]

    def failed(self, endpoint: Endpoint, now: float) -> bool:
        """Count one server error; return whether the endpoint was ejected for it."""
        if self.policy is None or endpoint.ejected_at is not None:
            return False
        endpoint.failures += 1
        if endpoint.failures < self.policy.max_server_errors:
            return False
        if not self._may_eject():
            endpoint.failures = 0
            self.refused_ejections += 1
            return False
        self.eject(endpoint, now)
        return True

    def eject(self, endpoint: Endpoint, now: float) -> None:
        """Leave the endpoint alone from ``now`` on; each time for one base duration longer."""
        endpoint.ejected_at = now
        endpoint.multiplier += 1
        if self.policy is not None and self.sweep_at == inf:
            self.sweep_at = now + max(self.policy.interval_s, SHORTEST_SWEEP_S)

    def readmit(self, endpoint: Endpoint) -> None:
        """Let the endpoint have traffic again, with a clean record but for its multiplier."""
        endpoint.ejected_at, endpoint.failures = None, 0

    def ejection_s(self, endpoint: Endpoint) -> float:
        """Return how long the endpoint's present ejection lasts: base times multiplier, at most max(300 s, base)."""
        base = self.policy.base_ejection_s if self.policy else 0.0
        return min(base * endpoint.multiplier, max(LONGEST_EJECTION_S, base))

    def ends_at(self, endpoint: Endpoint) -> float:
        """Return when the endpoint's ejection time is over; infinity when it is not ejected."""
        return inf if endpoint.ejected_at is None else endpoint.ejected_at + self.ejection_s(endpoint)

    def sweep(self, now: float) -> list[Endpoint]:
        """Forgive healthy endpoints one multiplier; return the ejected ones whose time is over (nothing is readmitted)."""
        if self.policy is None:
            return []
        for endpoint in self.endpoints:
            if endpoint.ejected_at is None and endpoint.multiplier:
                endpoint.multiplier -= 1
        restless = any(endpoint.multiplier for endpoint in self.endpoints)
        self.sweep_at = now + max(self.policy.interval_s, SHORTEST_SWEEP_S) if restless else inf
        return [endpoint for endpoint in self.endpoints if self.ends_at(endpoint) <= now]

    def replace(self, addresses: Iterable[str]) -> None:
        """Take over a new set of addresses; those that stay keep their record."""
        known = {endpoint.address: endpoint for endpoint in self.endpoints}
        self.endpoints = [known.get(address) or Endpoint(address) for address in dict.fromkeys(addresses)]

    def _may_eject(self) -> bool:
        ejected = len(self.ejected)
        assert self.policy is not None
        return not ejected or 100 * ejected / len(self.endpoints) < self.policy.max_ejection_percent
