"""What the proxy counts, as Prometheus reads it. Written by hand: its client library is larger than all of the rest."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from mesh_proxy.proxy import Proxy
from mesh_proxy.routing.routes import LiveRoutes
from mesh_proxy.side import Side
from mesh_proxy.targets.circuit import State
from mesh_proxy.targets.target import LiveTarget
from mesh_proxy.telemetry.outbox import Outbox
from mesh_proxy.telemetry.signals import BOUNDS, Signals
from mesh_proxy.tls.context import LiveContext
from mesh_proxy.tls.ends import ClientEnd, ServerEnd

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]

METRICS = {
    "requests_total": ("counter", "Requests by route, target and hundreds of the status (0xx: nobody waited for an answer)."),
    "request_duration_seconds": ("histogram", "How long requests took, by route and target."),
    "direction_requests_total": ("counter", "Requests of a direction, those without a route too."),
    "attempts_total": ("counter", "Attempts to have requests answered."),
    "retries_total": ("counter", "Attempts after the first."),
    "response_flags_total": ("counter", "Requests with a response flag."),
    "refused_total": ("counter", "Connections and requests that were refused unrouted, by reason."),
    "connections": ("gauge", "Connections from clients."),
    "in_flight": ("gauge", "Requests that are being answered."),
    "target_circuit": ("gauge", "1 for the state that the target's circuit is in."),
    "target_active": ("gauge", "Requests that the target is to answer."),
    "target_active_retries": ("gauge", "Retries among them."),
    "target_ejections_total": ("counter", "Endpoints of the target that were ejected."),
    "target_overflows_total": ("counter", "Requests that met a limit of the target's connection pool."),
    "endpoint_connections": ("gauge", "Connections to an endpoint."),
    "endpoint_idle": ("gauge", "Connections to an endpoint that serve nobody."),
    "endpoint_waiting": ("gauge", "Requests that wait for a connection to an endpoint."),
    "endpoint_ejected": ("gauge", "1 while an endpoint is ejected."),
    "denied_total": ("counter", "Requests whose caller may not, by reason."),
    "tls_handshakes_total": ("counter", "TLS handshakes that went well, with clients of a listener or with a target."),
    "tls_resumed_total": ("counter", "Those among them that went on with an earlier session."),
    "tls_target_refused_total": ("counter", "Connections with a target that TLS put an end to, by reason."),
    "certificate_expires_seconds": ("gauge", "When a certificate that is shown ends, in seconds since the epoch."),
    "certificate_rotations_total": ("counter", "Certificates and authorities that were replaced."),
    "certificate_rejections_total": ("counter", "Replacements that could not be used."),
    "telemetry_total": ("counter", "Spans and events by what became of them."),
    "telemetry_held": ("gauge", "Spans and events that wait to be delivered."),
    "config_total": ("counter", "Mesh files by what became of them."),
}
"""Kind and meaning of each metric; all names begin with ``meshscope_proxy_``."""


def text(proxy: Proxy) -> bytes:
    """Return all metrics in Prometheus' text form."""
    by_name: dict[str, list[str]] = {name: [] for name in METRICS}
    for name, labels, value in _samples(proxy):
        family = name if name in METRICS else name.rpartition("_")[0]
        told = ",".join(f'{label}="{_escaped(meaning)}"' for label, meaning in labels.items())
        by_name[family].append(f"meshscope_proxy_{name}{{{told}}} {value:.17g}")
    lines = []
    for name, rows in by_name.items():
        kind, meaning = METRICS[name]
        lines += [f"# HELP meshscope_proxy_{name} {meaning}", f"# TYPE meshscope_proxy_{name} {kind}", *rows]
    return "\n".join([*lines, ""]).encode()


def _samples(proxy: Proxy) -> Iterator[Sample]:
    further = ((f"ingress {port}", side) for port, side in proxy.further.items())
    for listener, side in (("ingress", proxy.ingress), *further, ("egress", proxy.egress)):
        yield from _side(side, {"direction": side.routes.direction, "listener": listener})
        yield from _signals(side.routes, listener)
    for target in (*proxy.live.targets, *proxy.beyond.targets):
        yield from _target(target)
    for name, door in proxy.doors.items():
        if door.tls is not None:
            yield from _tls(door.tls, {"listener": name})
    yield from _certificates(proxy.keyring.contexts)
    for reason, count in proxy.ingress.guard.denied.items() if proxy.ingress.guard is not None else ():
        yield "denied_total", {"reason": reason}, count
    yield from _outbox("spans", proxy.telemetry.spans)
    yield from _outbox("events", proxy.telemetry.events)
    yield "config_total", {"outcome": "accepted"}, proxy.accepted
    yield "config_total", {"outcome": "rejected"}, proxy.rejected


def _side(side: Side, of: Labels) -> Iterator[Sample]:
    counts = side.counts
    yield "direction_requests_total", of, counts.requests
    yield "attempts_total", of, counts.attempts
    yield "retries_total", of, counts.retries
    for flag, count in counts.flags.items():
        yield "response_flags_total", {**of, "flag": flag}, count
    for reason, count in counts.refused.items():
        yield "refused_total", {**of, "reason": reason}, count
    yield "connections", of, len(side.connections)
    yield "in_flight", of, side.in_flight


def _signals(routes: LiveRoutes, listener: str) -> Iterator[Sample]:
    """A route that answers for several hosts has a lane for each: what they count is added."""
    lanes: dict[tuple[str, str, str], list[Signals]] = {}
    for route in routes.all:
        for lane in route.lanes.items:
            key = (route.entry.virtual_service, route.entry.name, lane.target.name)
            lanes.setdefault(key, []).append(lane.signals)
    for (service, route_name, target), counted in lanes.items():
        of = {"direction": routes.direction, "listener": listener, "virtual_service": service}
        of |= {"route": route_name, "target": target}
        for hundreds, counts in enumerate(zip(*(each.statuses for each in counted), strict=True)):
            if any(counts):
                yield "requests_total", of | {"status": f"{hundreds}xx"}, sum(counts)
        reached = list(accumulate(map(sum, zip(*(each.buckets for each in counted), strict=True))))
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), reached, strict=True):
            yield "request_duration_seconds_bucket", of | {"le": bound}, count
        yield "request_duration_seconds_sum", of, sum(each.seconds for each in counted)
        yield "request_duration_seconds_count", of, reached[-1]


def _target(target: LiveTarget) -> Iterator[Sample]:
    of = {"target": target.name}
    for state in State:
        yield "target_circuit", of | {"state": state.value}, target.state is state
    yield "target_active", of, target.active
    yield "target_active_retries", of, target.active_retries
    yield "target_ejections_total", of, target.circuit.ejections
    yield "target_overflows_total", of, target.overflows
    if target.tls is not None:
        yield from _tls(target.tls, of)
        for reason, count in target.tls.refused.items():
            yield "tls_target_refused_total", of | {"reason": reason}, count
    for endpoint in target.circuit.endpoints:
        at, pool = of | {"address": endpoint.address}, target.pools[endpoint.address]
        yield "endpoint_connections", at, pool.open
        yield "endpoint_idle", at, len(pool.idle)
        yield "endpoint_waiting", at, pool.waiting
        yield "endpoint_ejected", at, endpoint.ejected_at is not None


def _tls(end: ServerEnd | ClientEnd, of: Labels) -> Iterator[Sample]:
    yield "tls_handshakes_total", of, end.handshakes
    yield "tls_resumed_total", of, end.resumed


def _certificates(contexts: Iterable[LiveContext]) -> Iterator[Sample]:
    """What is both shown to clients and to servers is one certificate here."""
    by_name: dict[str, list[LiveContext]] = {}
    for context in contexts:
        by_name.setdefault(context.name, []).append(context)
    for name, held in by_name.items():
        of = {"certificate": name}
        if held[0].own is not None:
            yield "certificate_expires_seconds", of, held[0].own.expires_at
        yield "certificate_rotations_total", of, max(context.rotations for context in held)
        yield "certificate_rejections_total", of, max(context.rejections for context in held)


def _outbox(signal: str, outbox: Outbox) -> Iterator[Sample]:
    yield "telemetry_total", {"signal": signal, "outcome": "created"}, outbox.created
    yield "telemetry_total", {"signal": signal, "outcome": "exported"}, outbox.exported
    for reason, count in outbox.dropped.items():
        yield "telemetry_total", {"signal": signal, "outcome": f"dropped_{reason}"}, count
    yield "telemetry_held", {"signal": signal}, len(outbox)


def _escaped(meaning: str) -> str:
    return meaning.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
