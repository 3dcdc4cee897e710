"""What made-up edges tell of their calls' way, and of single ones."""


def hops_of(source: str, destination: str, p50: float) -> dict[str, float | None]:
    """Both ends have proxies, but for what lies outside of the mesh: a caller that says nothing, a database."""
    mean = p50 * 1.3
    if source == "external":
        return {"caller_ms": None, "out_proxy_ms": None, "in_proxy_ms": mean, "callee_ms": mean * 0.93}
    if destination == "postgres":
        return {"caller_ms": mean, "out_proxy_ms": None, "in_proxy_ms": None, "callee_ms": None}
    return {"caller_ms": mean, "out_proxy_ms": mean * 0.94, "in_proxy_ms": mean * 0.81, "callee_ms": mean * 0.76}


def exemplars(error_rate: float, now: float) -> dict[str, str | None]:
    """Traces to look at, of those that the list of traces shows."""
    return {"slowest_trace": f"{int(now / 3):032x}", "failed_trace": f"{int(now / 3) - 7:032x}" if error_rate else None}
