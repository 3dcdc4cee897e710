"""Whether a failed attempt is tried again: the events of a policy, its limit, and the budget of a target."""

from dataclasses import dataclass
from enum import Enum

from mesh_model.resources import RetryPolicy
from mesh_proxy.http.grpc_status import RETRY_EVENTS

REPLAYABLE_BODY_BYTES = 65_536
BUDGET_MINIMUM = 3
BUDGET_SHARE = 0.2


class Failure(Enum):
    """Why an attempt brought no answer; the value is its ``error.type``."""

    CONNECT = "connect_failure"
    RESET = "reset"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol_error"
    REFUSED = "refused_stream"
    REMOTE_RESET = "remote_reset"


class Verdict(Enum):
    """What follows a failed attempt."""

    RETRY = "retry"
    NOT_RETRIABLE = "not_retriable"
    LIMIT_REACHED = "limit_reached"
    BUDGET_SPENT = "budget_spent"


@dataclass(frozen=True, slots=True)
class RetryRule:
    """A retry policy as the proxy asks it; ``per_try_s`` 0 means that a try has no time limit of its own.

    ``statuses`` are HTTP's (from 100) and gRPC's (to 16, of answers without a body).
    """

    limit: int
    per_try_s: float = 0.0
    statuses: frozenset[int] = frozenset()
    failures: frozenset[Failure] = frozenset()


NO_RETRIES = RetryRule(0)
DEFAULT_RULE = RetryRule(
    2,
    statuses=frozenset({503, RETRY_EVENTS["unavailable"]}),
    failures=frozenset({Failure.CONNECT, Failure.RESET, Failure.REFUSED, Failure.REMOTE_RESET}),
)
"""App Mesh's policy for routes without one: connect failure, refused stream, reset, gRPC unavailable and 503, twice."""

_UNANSWERED = frozenset(Failure)
_STATUSES = {
    "server-error": frozenset({*range(500, 509), 510, 511}),
    "gateway-error": frozenset({502, 503, 504}),
    "client-error": frozenset({409}),
}
_FAILURES = {
    "server-error": _UNANSWERED,  # no answer counts as the 502, 503 or 504 it becomes, as Envoy's 5xx and gateway-error do
    "gateway-error": _UNANSWERED,
    "stream-error": frozenset({Failure.REFUSED, Failure.RESET}),  # HTTP/1's kin is a connection closed unanswered
    "connection-error": frozenset({Failure.CONNECT}),
}


def rule_of(policy: RetryPolicy | None) -> RetryRule:
    """Return the rule of a route's policy; the mesh's default when it has none."""
    if policy is None:
        return DEFAULT_RULE
    events = policy.http_events | policy.tcp_events
    grpc = frozenset(RETRY_EVENTS[event] for event in policy.grpc_events)
    return RetryRule(
        limit=policy.max_retries,
        per_try_s=policy.per_retry_timeout_s,
        statuses=grpc.union(*(_STATUSES.get(event, frozenset()) for event in events)),
        failures=frozenset().union(*(_FAILURES.get(event, frozenset()) for event in events)),
    )


def judge(rule: RetryRule, outcome: int | Failure, *, retries: int, within_budget: bool) -> Verdict:
    """Return what follows an attempt that ended with a status or without an answer, after ``retries`` earlier retries."""
    retriable = outcome in (rule.failures if isinstance(outcome, Failure) else rule.statuses)
    if not retriable or not rule.limit:
        return Verdict.NOT_RETRIABLE
    if retries >= rule.limit:
        return Verdict.LIMIT_REACHED
    return Verdict.RETRY if within_budget else Verdict.BUDGET_SPENT


def within_budget(active_retries: int, active_requests: int) -> bool:
    """Tell whether a target may be sent one more retry: at most max(3, 20 % of its active and waiting requests) at a time."""
    return active_retries < max(BUDGET_MINIMUM, BUDGET_SHARE * active_requests)
