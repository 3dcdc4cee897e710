"""What a virtual node's tags say about calling it: which endpoint, and when one of them is left alone.

Tags are given by their word, without the ``meshscope/`` before it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from mesh_model.tag_words import TagProblem, Words, duration_s, header_name, one_of, percent, positive, whole

BALANCER, STICKY, SLOW_START = "balancer", "sticky", "slow-start"
PANIC, ZONE, OUTLIER = "panic-threshold", "prefer-zone", "outlier"
SMALLEST_RING, LARGEST_RING = 1, 65_536
DEFAULT_RING = 1024

BalancerKind = Literal["round_robin", "least_request", "random", "ring_hash", "maglev"]
_KINDS: dict[str, BalancerKind] = {
    "round_robin": "round_robin",
    "least_request": "least_request",
    "random": "random",
    "ring_hash": "ring_hash",
    "maglev": "maglev",
}


@dataclass(frozen=True, slots=True)
class Sticky:
    """What keeps a caller at one endpoint: a header, a cookie (set when missing; ``ttl_s`` None: a session's), its address."""

    by: Literal["header", "cookie", "source"]
    name: str = ""
    ttl_s: float | None = None
    path: str = "/"


@dataclass(frozen=True, slots=True)
class SlowStart:
    """How long a new endpoint's share grows, how (1: evenly), and from which share of its weight (0..1)."""

    window_s: float
    aggression: float = 1.0
    least: float = 0.1


@dataclass(frozen=True, slots=True)
class Balancing:
    """How the endpoint of an attempt is chosen. Percentages are of endpoints; 0 for panic: never; None: zones do not matter."""

    kind: BalancerKind = "round_robin"
    bias: float = 1.0
    ring: int = DEFAULT_RING
    sticky: Sticky | None = None
    slow_start: SlowStart | None = None
    panic_percent: float = 0.0
    zone_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Outliers:
    """What ejects an endpoint beside App Mesh's ``maxServerErrors``; None: it does not. Envoy's numbers where none are given.

    ``local_failures`` splits the kinds: what brought no answer then counts there and nowhere else.
    """

    gateway_failures: int | None = None
    local_failures: int | None = None
    success_rate_stdevs: float | None = None
    success_rate_hosts: int = 5
    success_rate_requests: int = 100
    failure_percent: float | None = None
    failure_hosts: int = 5
    failure_requests: int = 50

    @property
    def counts_all(self) -> bool:
        """Whether successes have to be counted too."""
        return self.success_rate_stdevs is not None or self.failure_percent is not None


ROUND_ROBIN = Balancing()
CONSECUTIVE_ONLY = Outliers()


def balancing_of(tags: Mapping[str, str]) -> Balancing:
    """Return how a node with these tags is balanced. Raises TagProblem."""
    kind, bias, ring = _balancer(tags[BALANCER]) if BALANCER in tags else ("round_robin", 1.0, DEFAULT_RING)
    sticky = _sticky(tags[STICKY]) if STICKY in tags else None
    if sticky is not None and BALANCER not in tags:
        kind = "ring_hash"
    return Balancing(
        kind=kind,
        bias=bias,
        ring=ring,
        sticky=sticky if kind in ("ring_hash", "maglev") else None,
        slow_start=_slow_start(tags[SLOW_START]) if SLOW_START in tags else None,
        panic_percent=_only(tags[PANIC], percent, "a percentage such as `50`") if PANIC in tags else 0.0,
        zone_percent=_only(tags[ZONE], percent, "a percentage such as `70`") if ZONE in tags else None,
    )


def outliers_of(tags: Mapping[str, str]) -> Outliers:
    """Return what ejects the endpoints of a node with these tags. Raises TagProblem."""
    if OUTLIER not in tags:
        return CONSECUTIVE_ONLY
    count = whole(1, 1_000_000)
    words = Words(tags[OUTLIER], "such as `gateway=5 local=5 success-rate=1.9 failure-percentage=85`")
    found = Outliers(
        gateway_failures=words.named("gateway", count, None),
        local_failures=words.named("local", count, None),
        success_rate_stdevs=words.named("success-rate", positive, None),
        success_rate_hosts=words.named("success-rate-hosts", count, 5),
        success_rate_requests=words.named("success-rate-requests", count, 100),
        failure_percent=words.named("failure-percentage", percent, None),
        failure_hosts=words.named("failure-percentage-hosts", count, 5),
        failure_requests=words.named("failure-percentage-requests", count, 50),
    )
    words.done()
    return found


def _balancer(text: str) -> tuple[BalancerKind, float, int]:
    words = Words(text, "`round_robin`, `least_request`, `random`, `ring_hash` or `maglev`")
    kind = words.word(_KINDS.__getitem__)
    bias = words.named("bias", positive, 1.0) if kind == "least_request" else 1.0
    ring = words.named("ring", whole(SMALLEST_RING, LARGEST_RING), DEFAULT_RING) if kind == "ring_hash" else DEFAULT_RING
    words.done()
    return kind, bias, ring


def _sticky(text: str) -> Sticky:
    words = Words(text, "`header x-user`, `cookie name ttl=1h` or `source`")
    by = words.word(one_of("header", "cookie", "source"))
    if by == "header":
        sticky = Sticky("header", words.word(header_name))
    elif by == "cookie":
        name = words.word(_cookie_name)
        sticky = Sticky("cookie", name, words.named("ttl", duration_s, None), words.named("path", _cookie_path, "/"))
    else:
        sticky = Sticky("source")
    words.done()
    return sticky


def _slow_start(text: str) -> SlowStart:
    words = Words(text, "such as `30s` or `30s aggression=1.5 least=10`")
    window = words.word(duration_s)
    aggression, least = words.named("aggression", positive, 1.0), words.named("least", percent, 10.0)
    words.done()
    if not window:
        raise TagProblem(f"got `{text}`", "a window longer than 0")
    return SlowStart(window, aggression, least / 100)


def _cookie_name(text: str) -> str:
    header_name(text)  # a subset of what a cookie may be called, and enough
    return text


def _cookie_path(text: str) -> str:
    if not text.startswith("/") or not text.isprintable() or ";" in text:
        raise ValueError(text)
    return text


def _only(text: str, read: Callable[[str], float], expected: str) -> float:
    words = Words(text, expected)
    value = words.word(read)
    words.done()
    return value
