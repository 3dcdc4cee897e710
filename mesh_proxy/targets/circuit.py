"""Whether a target may be called now, and at which endpoint: closed, open, half-open.

Unless a panic threshold is set, a target all of whose endpoints are ejected is not called at all until an ejection time
is over; then one request at a time probes it. Every answer changes nothing but what its sentence says, time comes in.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from mesh_model.node_policies import CONSECUTIVE_ONLY, ROUND_ROBIN, Balancing, Outliers
from mesh_model.resources import OutlierDetection
from mesh_proxy.targets.balancing import Balancer, balancer_of, in_zone
from mesh_proxy.targets.outlier import Endpoint, OutlierDetector, Place

SELECTION_ATTEMPTS = 5


class State(StrEnum):
    """Of a circuit."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Result(StrEnum):
    """Of an attempt, as the circuit sees it; abandoned says nothing about the endpoint.

    ``failed`` is a server error, ``gateway_failed`` one with 502, 503 or 504, ``unanswered`` no answer at all.
    """

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    GATEWAY_FAILED = "gateway_failed"
    UNANSWERED = "unanswered"
    ABANDONED = "abandoned"


def result_of(status: int) -> Result:
    """Return what an HTTP status says of the endpoint that answered."""
    if status < 500:
        return Result.SUCCEEDED
    return Result.GATEWAY_FAILED if status in (502, 503, 504) else Result.FAILED


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a target (``address`` empty) or to one endpoint of it; ``name`` is the mesh event's."""

    name: str
    action: str
    reason: str
    address: str = ""
    numbers: tuple[tuple[str, float], ...] = ()


@dataclass(slots=True)
class Circuit:
    """The endpoints of one target. Ask ``advance`` whenever ``due`` has passed, then ``admit``; ``report`` what became of it.

    ``zone`` is where the caller is; ``chance`` gives numbers in [0, 1); ``load`` tells how busy an endpoint is.
    """

    policy: OutlierDetection | None = None
    more: Outliers = CONSECUTIVE_ONLY
    balancing: Balancing = ROUND_ROBIN
    zone: str = ""
    chance: Callable[[], float] = field(default=lambda: 0.0)
    load: Callable[[Endpoint], int] = field(default=lambda endpoint: 0)
    state: State = State.CLOSED
    due: float = inf
    probe: Endpoint | None = None
    ejections: int = 0
    panicking: bool = False
    _detector: OutlierDetector = field(init=False)
    _admitted: Sequence[Endpoint] = field(default_factory=list)
    _warm_at: float = inf
    _balancer: Balancer | None = None
    _turn: int = 0

    def __post_init__(self) -> None:
        self._detector = OutlierDetector(self.policy, self.more)

    @property
    def endpoints(self) -> list[Endpoint]:
        """All endpoints, ejected ones too."""
        return self._detector.endpoints

    @property
    def refused_ejections(self) -> int:
        """How often an endpoint was not ejected because too many were already."""
        return self._detector.refused_ejections

    def replace(self, places: Iterable[Place], now: float) -> list[Change]:
        """Take over a new set of places; those that stay keep their record."""
        self._detector.replace(places, now)
        if self.probe not in self._detector.endpoints:
            self.probe = None
        return self._settle("endpoints_changed", now)

    def admit(self, tried: Collection[str] = (), key: int | None = None, now: float = 0.0) -> Endpoint | None:
        """Return the endpoint for the next attempt, not among ``tried`` if it can be helped; None: fail fast.

        ``key`` is the hash of what keeps callers at one endpoint. In half-open the one endpoint returned is the probe:
        nobody else is admitted before its result is reported.
        """
        admitted = self._admitted
        if admitted:
            if self._balancer is not None:
                return self._picked(self._balancer, tried, key, now)
            for _ in range(SELECTION_ATTEMPTS if tried else 1):
                self._turn = turn = (self._turn + 1) % len(admitted)
                if admitted[turn].address not in tried:
                    break
            return admitted[self._turn]
        if self.state is not State.HALF_OPEN or self.probe is not None:
            return None
        self.probe = min(self._probeable, key=self._detector.ends_at)
        return self.probe

    def report(self, endpoint: Endpoint, result: Result, now: float) -> list[Change]:
        """Take the result of an attempt; return what changed. Late results of an ejected endpoint change nothing."""
        if endpoint is self.probe:
            return self._probed(endpoint, result, now)
        if endpoint.ejected_at is not None or result is Result.ABANDONED:
            return []
        if result is Result.SUCCEEDED:
            self._detector.succeeded(endpoint)
            return []
        failures = max(endpoint.failures, endpoint.local_failures) + 1
        gateway, local = result is Result.GATEWAY_FAILED, result is Result.UNANSWERED
        why = self._detector.failed(endpoint, now, gateway=gateway, local=local)
        if not why:
            return []
        return [self._ejected(endpoint, why, failures), *self._settle(why, now)]

    def checked(self, endpoint: Endpoint, *, healthy: bool, well: bool, now: float) -> list[Change]:
        """Take what active health checks make of an endpoint; one that finds it ``well`` also ends an ejection, as in Envoy."""
        readmitted = well and healthy and endpoint.ejected_at is not None
        if endpoint not in self._detector.endpoints or (endpoint.healthy == healthy and not readmitted):
            return []
        was, endpoint.healthy = endpoint.healthy, healthy
        changes = []
        if was and not healthy:
            changes.append(Change("mesh.health_check", "unhealthy", "health_check_failed", endpoint.address))
        if healthy and not was:
            endpoint.since = now
            changes.append(Change("mesh.health_check", "healthy", "health_check_succeeded", endpoint.address))
        if readmitted:
            self._detector.readmit(endpoint)
            changes.append(Change("mesh.outlier_detection", "unejected", "health_check_succeeded", endpoint.address))
        if endpoint is self.probe:
            self.probe = None
        return changes + self._settle("health_check_succeeded" if healthy else "health_check_failed", now)

    def advance(self, now: float) -> list[Change]:
        """Let time pass: sweep, readmit endpoints whose time is over, half-open a circuit that may be probed."""
        changes: list[Change] = []
        if now >= self._detector.sweep_at:
            over = self._detector.sweep(now)
            for endpoint in over if self.state is State.CLOSED else []:
                self._detector.readmit(endpoint)
                changes.append(Change("mesh.outlier_detection", "unejected", "cooldown_elapsed", endpoint.address))
            changes += [self._ejected(endpoint, why, 0) for endpoint, why in self._detector.compare(now)]
        if self.state is State.OPEN and now >= self._earliest_end():
            self.state = State.HALF_OPEN
            changes.append(Change("mesh.circuit_breaker", "half_opened", "cooldown_elapsed"))
        return changes + self._settle("cooldown_elapsed", now)

    def _picked(self, balancer: Balancer, tried: Collection[str], key: int | None, now: float) -> Endpoint:
        endpoint = balancer.pick(key, 0, now)
        for attempt in range(1, SELECTION_ATTEMPTS if tried else 1):
            if endpoint.address not in tried:
                break
            endpoint = balancer.pick(key, attempt, now)
        return endpoint

    def _probed(self, endpoint: Endpoint, result: Result, now: float) -> list[Change]:
        self.probe = None
        if result is Result.ABANDONED:
            return []
        if result is Result.SUCCEEDED:
            self._detector.readmit(endpoint)
            change = Change("mesh.outlier_detection", "unejected", "probe_succeeded", endpoint.address)
            return [change, *self._settle("probe_succeeded", now)]
        self._detector.eject(endpoint, now)
        self.state = State.OPEN
        change = Change("mesh.circuit_breaker", "opened", "probe_failed", numbers=self._numbers())
        return [self._ejected(endpoint, "probe_failed", 1), change, *self._settle("probe_failed", now)]

    def _settle(self, reason: str, now: float) -> list[Change]:
        """Bring state, the admitted endpoints, their balancer and ``due`` in line with the records."""
        changes = self._choose_admitted(reason, now)
        if self._admitted or not self._detector.endpoints:
            if self.state is not State.CLOSED:
                self.state, self.probe = State.CLOSED, None
                changes.append(Change("mesh.circuit_breaker", "closed", reason))
        elif self.state is State.CLOSED or (self.state is State.HALF_OPEN and not self._probeable):
            self.state = State.OPEN
            changes.append(Change("mesh.circuit_breaker", "opened", reason, numbers=self._numbers()))
        self.due = min(self._detector.sweep_at, self._warm_at, self._earliest_end() if self.state is State.OPEN else inf)
        return changes

    def _choose_admitted(self, reason: str, now: float) -> list[Change]:
        """Find out who may be called, and by which balancer (None: equal endpoints in turn)."""
        members, balancing = self._detector.endpoints, self.balancing
        admitted: Sequence[Endpoint] = [each for each in members if each.ejected_at is None and each.healthy]
        panics = bool(members) and 100 * len(admitted) < balancing.panic_percent * len(members)
        changes = []
        if panics != self.panicking:
            self.panicking = panics
            action = "panic_began" if panics else "panic_ended"
            changes.append(Change("mesh.load_balancer", action, reason, numbers=self._numbers()))
        if panics:
            admitted = members
        elif balancing.zone_percent is not None:
            admitted = in_zone(admitted, members, self.zone, balancing.zone_percent)
        self._admitted = admitted
        slow = balancing.slow_start
        ends = [each.since + slow.window_s for each in admitted if each.since + slow.window_s > now] if slow is not None else []
        self._warm_at = min(ends, default=inf)
        plain = balancing.kind == "round_robin" and not ends and len({each.weight for each in admitted}) <= 1
        if plain:
            self._balancer = None
        elif admitted:
            self._balancer = self._balancer or balancer_of(balancing, self.chance, self.load)
            self._balancer.admit(members, admitted)
        return changes

    @property
    def _probeable(self) -> list[Endpoint]:
        """Ejected endpoints that are not known to be unhealthy."""
        return [endpoint for endpoint in self._detector.endpoints if endpoint.healthy and endpoint.ejected_at is not None]

    def _earliest_end(self) -> float:
        return min(map(self._detector.ends_at, self._probeable), default=inf)

    def _ejected(self, endpoint: Endpoint, reason: str, failures: int) -> Change:
        self.ejections += 1
        numbers = (
            ("failures", failures),
            ("ejection_ms", self._detector.ejection_s(endpoint) * 1000),
            ("multiplier", endpoint.multiplier),
        )
        return Change("mesh.outlier_detection", "ejected", reason, endpoint.address, numbers)

    def _numbers(self) -> tuple[tuple[str, float], ...]:
        return (("endpoints", len(self._detector.endpoints)), ("ejected", len(self._detector.ejected)))
