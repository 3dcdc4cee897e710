"""What golden signals mean: rates of sums, and whom to believe of those who saw a request."""

from collections.abc import Iterable

from query_api.questions import Row

WITNESSES = ("inbound", "app", "proxy")
"""Who sees a service's requests, the best first: its inbound proxy, itself, a proxy that stands alone."""


def rated(row: Row, seconds: float) -> Row:
    """Return what sums of calls, errors and latencies mean over ``seconds``."""
    p50, p95, p99 = (ns / 1e6 for ns in row["ns"])
    return {
        "rate": row["calls"] / seconds,
        "error_rate": row["errors"] / row["calls"],
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
    }


def best_witness(rows: Iterable[Row]) -> str:
    """Return the best of those who saw a service's requests; "" when nobody did."""
    seen = {row["hop"] for row in rows}
    return next((hop for hop in WITNESSES if hop in seen), "")
