"""What a route does to requests beside routing them: limits, faults and other headers. Pure: chance and time come in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mesh_model.route_policies import NOTHING_ASKED, Condition, HeaderEdits, RoutePolicy
from mesh_proxy.limits.admission import Admission
from mesh_proxy.limits.concurrency import Gradient
from mesh_proxy.limits.rate_limit import RateLimiter
from mesh_proxy.routing.sticky import header_value

Chance = Callable[[], float]


class Edits:
    """Removes, sets and adds header lines."""

    __slots__ = ("_added", "_gone")

    def __init__(self, edits: HeaderEdits) -> None:
        self._gone = frozenset(name.encode() for name in (*edits.remove, *(name for name, _ in edits.set)))
        self._added = [f"{name}: {value}\r\n".encode() for name, value in (*edits.set, *edits.add)]

    def apply(self, lines: Sequence[bytes]) -> list[bytes]:
        """Return the lines as they go on."""
        gone = self._gone
        kept = [line for line in lines if line.partition(b":")[0].lower() not in gone] if gone else list(lines)
        return kept + self._added


@dataclass(frozen=True, slots=True)
class RouteEffects:
    """What one route does to its requests; None: nothing of the kind."""

    policy: RoutePolicy
    limiter: RateLimiter | None
    request: Edits | None
    response: Edits | None
    gradient: Gradient | None
    admission: Admission | None

    @property
    def counts(self) -> dict[str, int]:
        """What limits are now, and how many requests and keys they refused or forgot."""
        found: dict[str, int] = {}
        if self.limiter is not None:
            found |= {"rate_limit_refused": self.limiter.refused, "rate_limit_keys_evicted": self.limiter.evicted}
        if self.gradient is not None:
            found |= {"concurrency_limit": self.gradient.limit, "concurrency_refused": self.gradient.refused}
        if self.admission is not None:
            found |= {"admission_refused": self.admission.refused}
        return found

    def refusal(self, lines: Sequence[bytes], now: float) -> tuple[bytes, ...] | None:
        """Ask the rate limit; return None, or the header lines of the 429."""
        if self.limiter is None:
            return None
        name = self.limiter.limit.header
        key = header_value(lines, name.encode()) if name else None
        return self.limiter.ask(key or b"", now)

    def enters(self, chance: Chance, now: float) -> bool:
        """Tell whether the application takes one more request; one that enters is to be told to ``left``."""
        if self.admission is not None and not self.admission.admits(chance(), now):
            return False
        return self.gradient is None or self.gradient.enter(now)

    def left(self, *, well: bool | None, latency_s: float, now: float) -> None:
        """A request that entered is over; ``well`` None: nobody waited for its answer, which says nothing."""
        if self.admission is not None and well is not None:
            self.admission.ended(well=well, now=now)
        if self.gradient is not None:
            self.gradient.leave(latency_s if well is not None else None, now)

    def delay_s(self, lines: Sequence[bytes], chance: Chance) -> float:
        """Return how long the request is held up; seconds, 0 for not at all."""
        delay = self.policy.delay
        return delay.seconds if delay is not None and applies(delay.when, lines, chance) else 0.0

    def abort_status(self, lines: Sequence[bytes], chance: Chance) -> int:
        """Return the status with which the request is refused; 0 for none."""
        abort = self.policy.abort
        return abort.status if abort is not None and applies(abort.when, lines, chance) else 0

    def is_mirrored(self, lines: Sequence[bytes], chance: Chance) -> bool:
        """Tell whether a copy of the request goes elsewhere too."""
        mirror = self.policy.mirror
        return mirror is not None and applies(mirror.when, lines, chance)


def effects_of(policy: RoutePolicy) -> RouteEffects | None:
    """Return what a policy does; None when it asks for nothing, so that nothing is asked of it on the way."""
    if policy == NOTHING_ASKED:
        return None
    return RouteEffects(
        policy=policy,
        limiter=RateLimiter(policy.rate_limit) if policy.rate_limit is not None else None,
        request=Edits(policy.request) if policy.request is not None else None,
        response=Edits(policy.response) if policy.response is not None else None,
        gradient=Gradient(policy.concurrency) if policy.concurrency is not None else None,
        admission=Admission(policy.admission) if policy.admission is not None else None,
    )


class KeptEffects:
    """The effects of routes by name: those whose policy stays as it was keep their buckets and limits across a reload."""

    def __init__(self, old: Mapping[str, RouteEffects]) -> None:
        self._old = old
        self.present: dict[str, RouteEffects] = {}

    def of(self, name: str, policy: RoutePolicy) -> RouteEffects | None:
        """Return what a policy does under this name."""
        kept = self._old.get(name)
        effects = kept if kept is not None and kept.policy == policy else effects_of(policy)
        if effects is not None:
            self.present[name] = effects
        return effects


def applies(when: Condition, lines: Sequence[bytes], chance: Chance) -> bool:
    """Tell whether a request is one of those that a condition means."""
    if when.header:
        value = header_value(lines, when.header.encode())
        if value is None or (when.value is not None and value != when.value.encode()):
            return False
    return when.percent >= 100 or chance() * 100 < when.percent
