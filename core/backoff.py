"""How long to wait before trying again (Envoy's jittered exponential back-off)."""

BASE_S = 0.025
CAP_S = 0.25


def ceiling_s(retry: int, *, base_s: float = BASE_S, cap_s: float = CAP_S) -> float:
    """Return the longest wait before the ``retry``-th retry (from 1): (2^retry - 1) bases, at most the cap; seconds."""
    return float(min((2 ** min(retry, 32) - 1) * base_s, cap_s))


def backoff_s(retry: int, chance: float, *, base_s: float = BASE_S, cap_s: float = CAP_S) -> float:
    """Return the wait before the ``retry``-th retry: ``chance`` (uniform in [0, 1)) of its ceiling; seconds."""
    return chance * ceiling_s(retry, base_s=base_s, cap_s=cap_s)
