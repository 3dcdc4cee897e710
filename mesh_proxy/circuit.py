"""Whether a target may be called now, and at which endpoint: closed, open, half-open.

There is no panic mode: a target all of whose endpoints are ejected is not called at all until an ejection time is
over; then one request at a time probes it. Every answer changes nothing but what its sentence says, time comes in.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from mesh_model.resources import OutlierDetection
from mesh_proxy.outlier import Endpoint, OutlierDetector

SELECTION_ATTEMPTS = 5


class State(StrEnum):
    """Of a circuit."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Result(StrEnum):
    """Of an attempt, as the circuit sees it; abandoned says nothing about the endpoint."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABANDONED = "abandoned"


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
    """The endpoints of one target. Ask ``advance`` whenever ``due`` has passed, then ``admit``; ``report`` what became of it."""

    policy: OutlierDetection | None = None
    state: State = State.CLOSED
    due: float = inf
    probe: Endpoint | None = None
    ejections: int = 0
    _detector: OutlierDetector = field(init=False)
    _admitted: list[Endpoint] = field(default_factory=list)
    _turn: int = 0

    def __post_init__(self) -> None:
        self._detector = OutlierDetector(self.policy)

    @property
    def endpoints(self) -> list[Endpoint]:
        """All endpoints, ejected ones too."""
        return self._detector.endpoints

    def replace(self, addresses: Iterable[str], now: float) -> list[Change]:
        """Take over a new set of addresses; those that stay keep their record."""
        self._detector.replace(addresses)
        if self.probe not in self._detector.endpoints:
            self.probe = None
        return self._settle("endpoints_changed", now)

    def admit(self, tried: Collection[str] = ()) -> Endpoint | None:
        """Return the endpoint for the next attempt, in turn and not among ``tried`` if it can be helped; None: fail fast.

        In half-open the one endpoint returned is the probe: nobody else is admitted before its result is reported.
        """
        admitted = self._admitted
        if admitted:
            for _ in range(SELECTION_ATTEMPTS if tried else 1):
                self._turn = turn = (self._turn + 1) % len(admitted)
                if admitted[turn].address not in tried:
                    break
            return admitted[self._turn]
        if self.state is not State.HALF_OPEN or self.probe is not None:
            return None
        self.probe = min(self._detector.endpoints, key=self._detector.ends_at)
        return self.probe

    def report(self, endpoint: Endpoint, result: Result, now: float) -> list[Change]:
        """Take the result of an attempt; return what changed. Late results of an ejected endpoint change nothing."""
        if endpoint is self.probe:
            return self._probed(endpoint, result, now)
        if endpoint.ejected_at is not None or result is Result.ABANDONED:
            return []
        if result is Result.SUCCEEDED:
            endpoint.failures = 0
            return []
        failures = endpoint.failures + 1
        if not self._detector.failed(endpoint, now):
            return []
        return [self._ejected(endpoint, "consecutive_5xx", failures), *self._settle("consecutive_5xx", now)]

    def advance(self, now: float) -> list[Change]:
        """Let time pass: sweep, readmit endpoints whose time is over, half-open a circuit that may be probed."""
        changes: list[Change] = []
        if now >= self._detector.sweep_at:
            over = self._detector.sweep(now)
            for endpoint in over if self.state is State.CLOSED else []:
                self._detector.readmit(endpoint)
                changes.append(Change("mesh.outlier_detection", "unejected", "cooldown_elapsed", endpoint.address))
        if self.state is State.OPEN and now >= self._earliest_end():
            self.state = State.HALF_OPEN
            changes.append(Change("mesh.circuit_breaker", "half_opened", "cooldown_elapsed"))
        return changes + self._settle("cooldown_elapsed", now)

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
        """Bring state, the admitted endpoints and ``due`` in line with the records."""
        changes: list[Change] = []
        self._admitted = [endpoint for endpoint in self._detector.endpoints if endpoint.ejected_at is None]
        if self._admitted or not self._detector.endpoints:
            if self.state is not State.CLOSED:
                self.state, self.probe = State.CLOSED, None
                changes.append(Change("mesh.circuit_breaker", "closed", reason))
        elif self.state is State.CLOSED:
            self.state = State.OPEN
            changes.append(Change("mesh.circuit_breaker", "opened", reason, numbers=self._numbers()))
        self.due = min(self._detector.sweep_at, self._earliest_end() if self.state is State.OPEN else inf)
        return changes

    def _earliest_end(self) -> float:
        return min(map(self._detector.ends_at, self._detector.endpoints), default=inf)

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
