"""Which of a target's endpoints an attempt goes to: Envoy's arithmetic, with time and chance as arguments.

Plain round robin over equal endpoints needs none of this: the circuit takes the next in turn by itself.
"""

from collections.abc import Callable, Sequence
from heapq import heapify, heapreplace
from itertools import count
from typing import Protocol

from mesh_model.node_policies import Balancing, SlowStart
from mesh_proxy.targets.hash_balancing import Maglev, RingHash
from mesh_proxy.targets.outlier import Endpoint

Chance = Callable[[], float]
Load = Callable[[Endpoint], int]


class Balancer(Protocol):
    """Chooses among endpoints. ``admit`` it again whenever who may be called, or a weight, has changed."""

    def admit(self, members: Sequence[Endpoint], admitted: Sequence[Endpoint]) -> None:
        """Take over all endpoints, and those of them that may be called (one or more)."""
        ...

    def pick(self, key: int | None, attempt: int, now: float) -> Endpoint:
        """Return an admitted endpoint; ``attempt`` counts how often this request has asked before and did not like it."""
        ...


class Scheduler:
    """Takes endpoints in turn, each as often as its weight says: earliest deadline first, as Envoy does.

    Weights are asked anew at each turn, so they may change with time and load; they are above 0.
    """

    __slots__ = ("_order", "_queue", "_weight")

    def __init__(self, endpoints: Sequence[Endpoint], weight: Callable[[Endpoint, float], float], chance: Chance, now: float):
        self._weight = weight
        self._order = count()
        # Each begins somewhere in its turn, so that proxies that start together do not walk in step.
        self._queue = [(chance() / weight(each, now), next(self._order), each) for each in endpoints]
        heapify(self._queue)

    def pick(self, now: float) -> Endpoint:
        """Return the endpoint whose turn it is."""
        due, _, endpoint = self._queue[0]
        heapreplace(self._queue, (due + 1 / self._weight(endpoint, now), next(self._order), endpoint))
        return endpoint


class RoundRobin:
    """Each endpoint in turn, as often as its weight says; new ones warm up when ``slow_start`` is given."""

    def __init__(self, chance: Chance, slow_start: SlowStart | None = None) -> None:
        self._chance, self._slow_start = chance, slow_start
        self._scheduler: Scheduler | None = None
        self._admitted: Sequence[Endpoint] = ()

    def admit(self, members: Sequence[Endpoint], admitted: Sequence[Endpoint]) -> None:
        """Take over the endpoints; the turn begins anew."""
        self._admitted, self._scheduler = admitted, None

    def pick(self, key: int | None, attempt: int, now: float) -> Endpoint:
        """Return the next endpoint."""
        if self._scheduler is None:
            self._scheduler = Scheduler(self._admitted, self._weight, self._chance, now)
        return self._scheduler.pick(now)

    def _weight(self, endpoint: Endpoint, now: float) -> float:
        return endpoint.weight * warmth(endpoint, self._slow_start, now)


class LeastRequest:
    """The less busy of two endpoints taken by chance; with differing weights, in turn with weight / (active + 1) ^ bias."""

    def __init__(self, chance: Chance, load: Load, bias: float = 1.0, slow_start: SlowStart | None = None) -> None:
        self._chance, self._load, self._bias, self._slow_start = chance, load, bias, slow_start
        self._scheduler: Scheduler | None = None
        self._admitted: Sequence[Endpoint] = ()
        self._equal = True

    def admit(self, members: Sequence[Endpoint], admitted: Sequence[Endpoint]) -> None:
        """Take over the endpoints."""
        self._admitted, self._scheduler = admitted, None
        self._equal = len({endpoint.weight for endpoint in admitted}) == 1

    def pick(self, key: int | None, attempt: int, now: float) -> Endpoint:
        """Return an endpoint that is not busy, as far as two looks can tell."""
        if self._equal and not _any_warming(self._admitted, self._slow_start, now):
            admitted, chance = self._admitted, self._chance
            one, other = admitted[int(chance() * len(admitted))], admitted[int(chance() * len(admitted))]
            return other if self._load(other) < self._load(one) else one
        if self._scheduler is None:
            self._scheduler = Scheduler(self._admitted, self._weight, self._chance, now)
        return self._scheduler.pick(now)

    def _weight(self, endpoint: Endpoint, now: float) -> float:
        weight = endpoint.weight * warmth(endpoint, self._slow_start, now)
        return float(weight / (self._load(endpoint) + 1) ** self._bias)


class RandomChoice:
    """Any endpoint, by chance; weights do not matter, as in Envoy."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._admitted: Sequence[Endpoint] = ()

    def admit(self, members: Sequence[Endpoint], admitted: Sequence[Endpoint]) -> None:
        """Take over the endpoints."""
        self._admitted = admitted

    def pick(self, key: int | None, attempt: int, now: float) -> Endpoint:
        """Return any endpoint."""
        return self._admitted[int(self._chance() * len(self._admitted))]


def warmth(endpoint: Endpoint, slow_start: SlowStart | None, now: float) -> float:
    """Return the share of its weight an endpoint has ``now``: max(least, (max(t, 1) / window) ^ (1 / aggression)), at most 1."""
    if slow_start is None or now >= endpoint.since + slow_start.window_s:
        return 1.0
    grown = max(now - endpoint.since, 1.0) / slow_start.window_s
    return float(min(1.0, max(slow_start.least, grown ** (1 / slow_start.aggression))))


def balancer_of(policy: Balancing, chance: Chance, load: Load) -> Balancer:
    """Return the balancer that a policy asks for."""
    if policy.kind == "least_request":
        return LeastRequest(chance, load, policy.bias, policy.slow_start)
    if policy.kind == "random":
        return RandomChoice(chance)
    if policy.kind == "ring_hash":
        return RingHash(chance, policy.ring)
    if policy.kind == "maglev":
        return Maglev(chance)
    return RoundRobin(chance, policy.slow_start)


def in_zone(admitted: Sequence[Endpoint], members: Sequence[Endpoint], zone: str, percent: float) -> Sequence[Endpoint]:
    """Return the admitted endpoints of ``zone`` if they are at least ``percent`` of those it has; all admitted ones otherwise."""
    near = [endpoint for endpoint in admitted if endpoint.zone == zone]
    there = sum(endpoint.zone == zone for endpoint in members)
    return near if near and 100 * len(near) >= percent * there else admitted


def _any_warming(endpoints: Sequence[Endpoint], slow_start: SlowStart | None, now: float) -> bool:
    return slow_start is not None and any(now < endpoint.since + slow_start.window_s for endpoint in endpoints)
