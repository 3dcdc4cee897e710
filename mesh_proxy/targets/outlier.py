"""Which endpoints of a target are left alone, and for how long: Envoy's arithmetic."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf, sqrt

from mesh_model.node_policies import CONSECUTIVE_ONLY, Outliers
from mesh_model.resources import OutlierDetection

LONGEST_EJECTION_S = 300.0
SHORTEST_SWEEP_S = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """Where an endpoint is (``host:port``), its weight relative to the others (above 0), and its zone."""

    address: str
    weight: float = 1.0
    zone: str = ""


@dataclass(slots=True, eq=False)
class Endpoint:
    """One address of a target, and its record. ``ejected_at`` is None while outlier detection lets it have traffic.

    ``healthy`` is what active health checks say; ``since`` when it came or became healthy; ``plain`` that a success needs
    no more than ``failures = 0``; ``requests`` and ``successes`` count since the last sweep.
    """

    address: str
    weight: float = 1.0
    zone: str = ""
    since: float = 0.0
    healthy: bool = True
    failures: int = 0
    gateway_failures: int = 0
    local_failures: int = 0
    requests: int = 0
    successes: int = 0
    multiplier: int = 0
    ejected_at: float | None = None
    plain: bool = True


@dataclass(slots=True)
class OutlierDetector:
    """Ejects an endpoint for its errors, if few enough are ejected already; one always may be."""

    policy: OutlierDetection | None
    more: Outliers = CONSECUTIVE_ONLY
    endpoints: list[Endpoint] = field(default_factory=list)
    sweep_at: float = inf
    refused_ejections: int = 0

    @property
    def ejected(self) -> list[Endpoint]:
        """The endpoints that are left alone now."""
        return [endpoint for endpoint in self.endpoints if endpoint.ejected_at is not None]

    @property
    def plain(self) -> bool:
        """Whether 5xx in a row are all that counts."""
        return self.policy is None or self.more == CONSECUTIVE_ONLY

    def succeeded(self, endpoint: Endpoint) -> None:
        """Count an answer that is no server error."""
        endpoint.failures = endpoint.gateway_failures = endpoint.local_failures = 0
        endpoint.requests += 1
        endpoint.successes += 1

    def failed(self, endpoint: Endpoint, now: float, *, gateway: bool = False, local: bool = False) -> str:
        """Count one failure; return why the endpoint was ejected for it (empty: it was not).

        ``gateway``: it was a 502, 503 or 504. ``local``: there was no answer at all, which counts as such a status
        unless the policy splits the kinds.
        """
        if self.policy is None or endpoint.ejected_at is not None:
            return ""
        if local and self.more.local_failures is not None:
            endpoint.local_failures += 1
            return self._consecutive(
                endpoint, "local_failures", self.more.local_failures, "consecutive_local_origin_failure", now
            )
        endpoint.requests += 1
        endpoint.failures += 1
        endpoint.gateway_failures = endpoint.gateway_failures + 1 if gateway or local else 0
        if self.more.gateway_failures is not None:
            most = self.more.gateway_failures
            if why := self._consecutive(endpoint, "gateway_failures", most, "consecutive_gateway_failure", now):
                return why
        return self._consecutive(endpoint, "failures", self.policy.max_server_errors, "consecutive_5xx", now)

    def eject(self, endpoint: Endpoint, now: float) -> None:
        """Leave the endpoint alone from ``now`` on; each time for one base duration longer."""
        endpoint.ejected_at, endpoint.plain = now, False
        endpoint.multiplier += 1
        if self.policy is not None and self.sweep_at == inf:
            self.sweep_at = now + self._interval_s

    def readmit(self, endpoint: Endpoint) -> None:
        """Let the endpoint have traffic again, with a clean record but for its multiplier."""
        endpoint.ejected_at, endpoint.plain = None, self.plain
        endpoint.failures = endpoint.gateway_failures = endpoint.local_failures = 0

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
        restless = self.more.counts_all or any(endpoint.multiplier for endpoint in self.endpoints)
        self.sweep_at = now + self._interval_s if restless else inf
        return [endpoint for endpoint in self.endpoints if self.ends_at(endpoint) <= now]

    def compare(self, now: float) -> list[tuple[Endpoint, str]]:
        """Eject those that did much worse than the others since the last sweep; return them with the reason, and count anew."""
        more, found = self.more, []
        if more.success_rate_stdevs is not None:
            judged = self._rates(more.success_rate_requests)
            if len(judged) >= more.success_rate_hosts:
                least = success_rate_threshold([rate for _, rate in judged], more.success_rate_stdevs)
                found += self._eject_all(judged, lambda rate: rate < least, "success_rate", now)
        if more.failure_percent is not None:
            judged = self._rates(more.failure_requests)
            if len(judged) >= more.failure_hosts:
                most = more.failure_percent
                found += self._eject_all(judged, lambda rate: 100 - rate >= most, "failure_percentage", now)
        for endpoint in self.endpoints:
            endpoint.requests = endpoint.successes = 0
        return found

    def replace(self, places: Iterable[Place], now: float) -> None:
        """Take over a new set of places; those that stay keep their record."""
        known = {endpoint.address: endpoint for endpoint in self.endpoints}
        plain, self.endpoints = self.plain, []
        for place in {place.address: place for place in places}.values():
            endpoint = known.get(place.address) or Endpoint(place.address, since=now, plain=plain)
            endpoint.weight, endpoint.zone = place.weight, place.zone
            self.endpoints.append(endpoint)
        if self.more.counts_all and self.policy is not None and self.sweep_at == inf:
            self.sweep_at = now + self._interval_s

    @property
    def _interval_s(self) -> float:
        return max(self.policy.interval_s if self.policy else 0.0, SHORTEST_SWEEP_S)

    def _consecutive(self, endpoint: Endpoint, tally: str, most: int, reason: str, now: float) -> str:
        """Eject the endpoint if one of its tallies is full; a full one that may not eject begins anew."""
        if getattr(endpoint, tally) < most:
            return ""
        if not self._may_eject():
            setattr(endpoint, tally, 0)
            self.refused_ejections += 1
            return ""
        self.eject(endpoint, now)
        return reason

    def _rates(self, least_requests: int) -> list[tuple[Endpoint, float]]:
        """Return the endpoints that were asked often enough, with the percentage of successes of each."""
        return [
            (endpoint, 100 * endpoint.successes / endpoint.requests)
            for endpoint in self.endpoints
            if endpoint.ejected_at is None and endpoint.requests >= least_requests
        ]

    def _eject_all(
        self, judged: Iterable[tuple[Endpoint, float]], too_bad: Callable[[float], bool], reason: str, now: float
    ) -> list[tuple[Endpoint, str]]:
        ejected = []
        for endpoint, rate in judged:
            if endpoint.ejected_at is not None or not too_bad(rate):
                continue
            if self._may_eject():
                self.eject(endpoint, now)
                ejected.append((endpoint, reason))
            else:
                self.refused_ejections += 1
        return ejected

    def _may_eject(self) -> bool:
        ejected = len(self.ejected)
        assert self.policy is not None
        return not ejected or 100 * ejected / len(self.endpoints) < self.policy.max_ejection_percent


def success_rate_threshold(rates: list[float], stdevs: float) -> float:
    """Return the success rate below which an endpoint is an outlier: the mean less so many standard deviations."""
    mean = sum(rates) / len(rates)
    return mean - stdevs * sqrt(sum((rate - mean) ** 2 for rate in rates) / len(rates))
