"""What becomes of a request that no upstream answered: a status, a text, and Envoy's response flag."""

from dataclasses import dataclass

from mesh_proxy.exchange.retry import Failure, Verdict

_RESET = "upstream connect error or disconnect/reset before headers. reset reason: "


@dataclass(frozen=True, slots=True)
class Rescue:
    """An answer of the proxy's own. ``error`` is the ``error.type`` of the attempt, ``lines`` are further headers."""

    flag: str
    status: int
    text: str
    error: str
    lines: tuple[bytes, ...] = ()


NO_ROUTE = Rescue("NR", 404, "", "")
NO_HEALTHY_UPSTREAM = Rescue("UH", 503, "no healthy upstream", "no_healthy_upstream")
OVERFLOW = Rescue("UO", 503, _RESET + "overflow", "overflow")
TIMED_OUT = Rescue("UT", 504, "upstream request timeout", "timeout")
WENT_SILENT = Rescue("SI", 504, "stream timeout", "timeout")
REQUEST_WENT_SILENT = Rescue("SI", 408, "stream timeout", "timeout")
CLIENT_GONE = Rescue("DC", 0, "", "reset")
TOO_LARGE = Rescue("DPE", 413, "Payload Too Large", "reset")
MALFORMED = Rescue("DPE", 400, "Bad Request", "reset")
UNANSWERED = {
    Failure.CONNECT: Rescue("UF", 503, _RESET + "connection failure", "connect_failure"),
    Failure.RESET: Rescue("UC", 503, _RESET + "connection termination", "reset"),
    Failure.TIMEOUT: TIMED_OUT,
    Failure.REFUSED: Rescue("UR", 503, _RESET + "remote refused stream reset", "reset"),
    Failure.REMOTE_RESET: Rescue("UR", 503, _RESET + "remote reset", "reset"),
    Failure.PROTOCOL: Rescue("UPE", 502, _RESET + "protocol error", "reset"),
}
FURTHER_FLAG = {Verdict.LIMIT_REACHED: "URX", Verdict.BUDGET_SPENT: "UO"}
_ORDER = ("LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DC", "URX", "DI", "FI", "RL", "SI", "DPE", "UPE", "UAEX")


def joined(*flags: str) -> str:
    """Return response flags (each may be several already) in Envoy's order, each once."""
    given = ",".join(flags).split(",")
    return ",".join(flag for flag in _ORDER if flag in given)
