"""What tags say about the requests of a route: mirrored, delayed, refused, limited, or with other headers.

Tags are given by their word, without the ``meshscope/`` before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mesh_model.door_policies import AdaptiveConcurrency, AdmissionControl, admission_of, concurrency_of
from mesh_model.tag_words import TagProblem, Words, duration_s, header_name, percent, rate, whole

MIRROR, DELAY, ABORT, RATE_LIMIT = "mirror", "fault-delay", "fault-abort", "rate-limit"
REQUEST, RESPONSE = "request-header", "response-header"
LONGEST_DELAY_S = 300.0
NEVER_EDITED = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "traceparent",
        "tracestate",
    }
)
"""What frames a message, or is the proxy's own to say."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Which requests: a percentage of those that have ``header`` (any if empty), with ``value`` (any if None)."""

    percent: float = 100.0
    header: str = ""
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Mirror:
    """A copy of the request goes to a virtual node too; its answer is ignored."""

    virtual_node: str
    when: Condition


@dataclass(frozen=True, slots=True)
class Delay:
    """The request waits before it is sent on; seconds."""

    seconds: float
    when: Condition


@dataclass(frozen=True, slots=True)
class Abort:
    """The request is answered with a status in the upstream's place."""

    status: int
    when: Condition


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most so many requests a second in the long run, ``burst`` at once; for each value of ``header`` if one is named."""

    per_second: float
    burst: int
    header: str = ""


@dataclass(frozen=True, slots=True)
class HeaderEdits:
    """What happens to a message's headers: removed, then set, then added. Names are in lower case."""

    remove: tuple[str, ...] = ()
    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """All that tags ask for, on one route; the last two are of a virtual node's own door only."""

    mirror: Mirror | None = None
    delay: Delay | None = None
    abort: Abort | None = None
    rate_limit: RateLimit | None = None
    request: HeaderEdits | None = None
    response: HeaderEdits | None = None
    concurrency: AdaptiveConcurrency | None = None
    admission: AdmissionControl | None = None


NOTHING_ASKED = RoutePolicy()


def route_policy_of(tags: Mapping[str, str]) -> RoutePolicy:
    """Return what the tags of a route ask for; those of its virtual service are its defaults. Raises TagProblem."""
    return RoutePolicy(
        mirror=_mirror(tags[MIRROR]) if MIRROR in tags else None,
        delay=_delay(tags[DELAY]) if DELAY in tags else None,
        abort=_abort(tags[ABORT]) if ABORT in tags else None,
        rate_limit=rate_limit_of(tags),
        request=_edits(tags, REQUEST),
        response=_edits(tags, RESPONSE),
    )


def rate_limit_of(tags: Mapping[str, str]) -> RateLimit | None:
    """Return the rate limit that tags ask for (those of a virtual node: for its ingress). Raises TagProblem."""
    if RATE_LIMIT not in tags:
        return None
    words = Words(tags[RATE_LIMIT], "such as `100/s`, `600/m burst=20` or `10/s header=x-user`")
    per_second = words.word(rate)
    burst = words.named("burst", whole(1, 1_000_000), max(1, round(per_second)))
    header = words.named("header", header_name, "")
    words.done()
    return RateLimit(per_second, burst, header)


def door_policy_of(tags: Mapping[str, str]) -> RoutePolicy:
    """Return what the tags of a virtual node ask of its own ingress. Raises TagProblem."""
    return RoutePolicy(rate_limit=rate_limit_of(tags), concurrency=concurrency_of(tags), admission=admission_of(tags))


def _mirror(text: str) -> Mirror:
    words = Words(text, "a virtual node, such as `payments-v2 percent=10`")
    node = words.word(str)
    return Mirror(node, _condition(words))


def _delay(text: str) -> Delay:
    words = Words(text, "such as `2s`, `250ms percent=10` or `2s header=x-fault:on`, at most 5 minutes")
    seconds = words.word(duration_s)
    if seconds > LONGEST_DELAY_S:
        raise TagProblem(f"got `{text}`", "at most 5 minutes")
    return Delay(seconds, _condition(words))


def _abort(text: str) -> Abort:
    words = Words(text, "a status from 200 to 599, such as `503`, `503 percent=10` or `500 header=x-fault:on`")
    status = words.word(whole(200, 599))
    return Abort(status, _condition(words))


def _condition(words: Words) -> Condition:
    share = words.named("percent", percent, 100.0)
    header, colon, value = words.named("header", str, "").partition(":")
    words.done()
    if (header or colon) and not _is_name(header):
        raise TagProblem(f"got `header={header}`", "a header's name, such as `header=x-fault` or `header=x-fault:on`")
    return Condition(share, header.lower(), value if colon else None)


def _edits(tags: Mapping[str, str], prefix: str) -> HeaderEdits | None:
    """``<prefix>-set/<name>``, ``<prefix>-add/<name>`` and ``<prefix>-remove/<name>``."""
    found: dict[str, list[tuple[str, str]]] = {"remove": [], "set": [], "add": []}
    for key, value in tags.items():
        for action, edits in found.items():
            start = f"{prefix}-{action}/"
            if key.startswith(start):
                edits.append((_editable(key[len(start) :]), _header_value(value)))
    if not any(found.values()):
        return None
    return HeaderEdits(tuple(name for name, _ in found["remove"]), tuple(found["set"]), tuple(found["add"]))


def _editable(name: str) -> str:
    if not _is_name(name) or name.lower() in NEVER_EDITED:
        raise TagProblem(f"`{name}` cannot be edited", "a header that neither frames a message nor belongs to the proxy")
    return name.lower()


def _header_value(value: str) -> str:
    if not (value.isascii() and value.isprintable()) and value:
        raise TagProblem(f"got `{value}`", "printable ASCII")
    return value.strip()


def _is_name(text: str) -> bool:
    try:
        header_name(text)
    except ValueError:
        return False
    return True
