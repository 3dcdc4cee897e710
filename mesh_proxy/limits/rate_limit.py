"""How many requests may pass: a bucket of tokens for a route, or one for each value of a header."""

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil

from mesh_model.route_policies import RateLimit

MOST_KEYS = 10_000
"""Buckets of one limit; the one unused for longest makes way (which gives its caller a full bucket again)."""


@dataclass(slots=True)
class Bucket:
    """Fills by so many tokens a second up to its size; it begins full."""

    tokens: float
    at: float

    def take(self, limit: RateLimit, now: float) -> bool:
        """Take one token if there is one."""
        self.tokens = min(limit.burst, self.tokens + max(0.0, now - self.at) * limit.per_second)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def headers(self, limit: RateLimit) -> tuple[bytes, ...]:
        """Return the ``x-ratelimit`` lines: what fits at once, what is left of it, seconds until the next token (0: at once)."""
        wait = max(0.0, 1 - self.tokens) / limit.per_second
        told = {b"limit": limit.burst, b"remaining": int(self.tokens), b"reset": ceil(wait)}
        return tuple(b"x-ratelimit-%b: %d\r\n" % each for each in told.items())


class RateLimiter:
    """Keeps one limit. Requests without the header that is asked for share one bucket."""

    __slots__ = ("_buckets", "evicted", "limit", "most_keys", "refused")

    def __init__(self, limit: RateLimit, most_keys: int = MOST_KEYS) -> None:
        self.limit, self.most_keys = limit, most_keys
        self.refused = self.evicted = 0
        self._buckets: OrderedDict[bytes, Bucket] = OrderedDict()

    def __repr__(self) -> str:
        return f"<RateLimiter {self.limit.per_second}/s, {len(self._buckets)} keys, {self.refused} refused>"

    def ask(self, key: bytes, now: float) -> tuple[bytes, ...] | None:
        """Take a token; return None, or the ``x-ratelimit`` lines of a refusal when there is none."""
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self.most_keys:
                self._buckets.popitem(last=False)
                self.evicted += 1
            bucket = self._buckets[key] = Bucket(self.limit.burst, now)
        elif self.limit.header:
            self._buckets.move_to_end(key)
        if bucket.take(self.limit, now):
            return None
        self.refused += 1
        return bucket.headers(self.limit)
