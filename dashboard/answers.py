"""What the query API answers, as frozen objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time an answer covers."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service and its golden signals over the window; rates per second, times in ms."""

    name: str
    versions: list[str]
    rate: float
    error_rate: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    last_seen: datetime | None


@dataclass(frozen=True, slots=True)
class Services(Window):
    """Every service that was seen."""

    services: list[ServiceRow]


@dataclass(frozen=True, slots=True)
class Node:
    """One box of the topology; ``kind`` is service, external or peer."""

    id: str
    kind: str
    versions: list[str]
    rate: float
    error_rate: float
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Hops:
    """The mean time of a call as each on its way saw it, in ms; None where nobody looked."""

    caller_ms: float | None = None
    out_proxy_ms: float | None = None
    in_proxy_ms: float | None = None
    callee_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """One arrow of the topology; ``breaker_state`` is closed, open, half_open or none."""

    source: str
    destination: str
    calls: float
    errors: float
    rate: float
    error_rate: float
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    retries: float = 0
    paired: float = 0
    breaker_state: str = "none"
    hops: Hops = field(default_factory=Hops)
    slowest_trace: str | None = None
    failed_trace: str | None = None


@dataclass(frozen=True, slots=True)
class Topology(Window):
    """Who calls whom."""

    nodes: list[Node]
    edges: list[Edge]


@dataclass(frozen=True, slots=True)
class Point:
    """The golden signals of one step."""

    t: datetime
    rate: float | None
    error_rate: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    in_flight: float | None


@dataclass(frozen=True, slots=True)
class Total:
    """The golden signals of the whole window, and traces to look at."""

    calls: float
    errors: float
    rate: float
    error_rate: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    slowest_trace: str | None = None
    failed_trace: str | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one group (a version, a route, a zone, or everything: "")."""

    group: str
    points: list[Point]
    total: Total


@dataclass(frozen=True, slots=True)
class GoldenSignals(Window):
    """The golden signals of one service over time."""

    service: str
    step_s: float
    series: list[Series]


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One trace of a list."""

    trace_id: str
    start: datetime
    duration_ms: float
    root_service: str
    root_name: str
    services: list[str]
    spans: int
    errors: int


@dataclass(frozen=True, slots=True)
class Thinned:
    """How many traces of the hours up to ``until`` keep their spans."""

    until: datetime
    traces_seen: int
    traces_kept: int


@dataclass(frozen=True, slots=True)
class Traces(Window):
    """Traces that fit a question, newest first; ``thinned`` says that there were more."""

    traces: list[TraceRow]
    thinned: Thinned | None = None


@dataclass(frozen=True, slots=True)
class AttributeRow:
    """One attribute's name and a few of its values, cut at 128 characters."""

    name: str
    values: list[str]


@dataclass(frozen=True, slots=True)
class Attributes(Window):
    """The attributes that spans bear, the most frequent first."""

    attributes: list[AttributeRow]


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened within a span."""

    offset_ms: float
    name: str
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """One span of a trace; ``hop`` is app, inbound, outbound or proxy."""

    span_id: str
    parent_id: str | None
    service: str
    version: str
    node: str
    hop: str
    name: str
    kind: str
    start: datetime
    offset_ms: float
    duration_ms: float
    error: bool
    status_message: str
    depth: int
    attributes: Mapping[str, object] = field(default_factory=dict)
    resource: Mapping[str, object] = field(default_factory=dict)
    events: list[SpanEvent] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace, its spans in tree order; ``thinned``: not all of the ``spans_seen`` are kept any more.

    ``spans_left_out`` never were: they came when the trace was full.
    """

    trace_id: str
    start: datetime
    duration_ms: float
    root_service: str
    root_name: str
    services: list[str]
    spans_seen: int
    errors: int
    spans: list[Span]
    spans_left_out: int = 0
    thinned: bool = False
    kept_because: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MeshEvent:
    """Something a proxy decided or was told."""

    ts: datetime
    mesh: str
    source: str
    destination: str
    endpoint: str
    target: str
    instance: str
    type: str
    action: str
    enforced: bool
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class MeshEvents(Window):
    """Mesh events, newest first."""

    events: list[MeshEvent]


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time in one breaker state."""

    state: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class BreakerEdge:
    """One circuit breaker and its states over the window."""

    source: str
    destination: str
    target: str
    state: str
    intervals: list[Interval]


@dataclass(frozen=True, slots=True)
class CircuitBreakers(Window):
    """Every circuit breaker that was seen."""

    edges: list[BreakerEdge]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; ``state`` is inactive, pending, firing or resolved."""

    rule: str
    fingerprint: str
    state: str
    value: float | None = None
    threshold: float | None = None
    active_since: datetime | None = None
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    updated_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One try to tell a webhook."""

    id: str | int
    rule: str
    status: str
    attempts: int
    webhook: str
    last_error: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Alerts:
    """The alerts and what was sent about them."""

    alerts: list[Alert]
    deliveries: list[Delivery]
