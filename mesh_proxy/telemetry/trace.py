"""The trace of one exchange: its context, its ids, and the writing of its spans."""

from typing import TYPE_CHECKING

from mesh_proxy.http import grpc_status
from mesh_proxy.telemetry import b3, trace_context
from mesh_proxy.telemetry.otlp import TextAttribute
from mesh_proxy.telemetry.spans import ATTRIBUTES_FIELD, HopSpans, attribute, trace_state
from mesh_proxy.telemetry.trace_context import TraceContext

if TYPE_CHECKING:
    from mesh_proxy.http.request import RequestHead
    from mesh_proxy.side import Side

LONGEST_PATH = 512
LONGEST_RPC = 255
URL_PATH = TextAttribute(ATTRIBUTES_FIELD, "url.path")


class Trace:
    """One SERVER span and a CLIENT span per attempt, if they are wanted: a caller may have decided against recording."""

    __slots__ = ("_attempt_id", "_attributes", "_context", "_head", "_name", "_next_id", "_side", "_span_id")

    def __init__(self, side: "Side", head: "RequestHead") -> None:
        self._side, self._head = side, head
        context = trace_context.parse(head.traceparent) if head.traceparent else None
        if context is None and head.b3:
            context = b3.parse(head.b3)
        ids = trace_context.new_ids(side.random)
        self._span_id, self._next_id, self._attempt_id = ids[16:24], ids[24:], b""
        self._context = context or self._root(ids[:16])
        self._attributes = URL_PATH.of(head.path.partition(b"?")[0][:LONGEST_PATH])
        if head.tracestate and context is not None:
            self._attributes += trace_state(head.tracestate)
        self._name = head.method
        if head.grpc:
            self._describe_rpc(head.path)

    def _root(self, trace_id: bytes) -> TraceContext:
        """Begin a trace here; it is recorded unless the caller does not want it, or it is not among the share that is."""
        share = self._side.telemetry.share
        recorded = (share >= 1 or self._side.random.random() < share) and not (self._head.b3 and b3.refuses(self._head.b3))
        return TraceContext(trace_id, b"", b"01" if recorded else b"00", recorded)

    @property
    def trace_id(self) -> bytes:
        """The id of the trace; 16 bytes."""
        return self._context.trace_id

    def begin_attempt(self) -> bytes:
        """Begin a CLIENT span; return the headers that make it the caller."""
        context = self._context
        if not context.sampled and context.parent_id:
            return passed_on(self._head)
        self._attempt_id = self._next_id or trace_context.new_ids(self._side.random)[:8]
        self._next_id = b""
        line = trace_context.header_line(context, self._attempt_id)
        if self._head.b3:
            line += b3.header_lines(self._head.b3, context, self._attempt_id, self._span_id)
        state = self._head.tracestate
        return line + b"tracestate: %b\r\n" % state if state and context.parent_id else line

    def end_attempt(
        self, spans: HopSpans, times: tuple[float, float], status: int, flag: str, error: str, resend: int, more: bytes, grpc: int
    ) -> None:
        """Write the CLIENT span of the attempt; ``times`` are moments of the monotonic clock."""
        if not self._context.sampled:
            return
        telemetry = self._side.telemetry
        more += self._attributes
        if resend:
            more += attribute("http.request.resend_count", resend)
        if grpc >= 0:
            more += attribute("rpc.grpc.status_code", grpc)
            error = error or (grpc_status.NAMES[grpc] if grpc else "")
        if not error and status >= 400:
            error = str(status)
        at = (telemetry.ns(times[0]), telemetry.ns(times[1]))
        ids = (self._attempt_id, self._span_id)
        telemetry.spans.put(spans.client(self._context, ids, at, self._name, status, flag, error, more))

    def end(self, spans: HopSpans, times: tuple[float, float], status: int, flags: str, more: bytes, grpc: int) -> None:
        """Write the SERVER span; ``times`` are moments of the monotonic clock."""
        if self._context.sampled:
            telemetry = self._side.telemetry
            at = (telemetry.ns(times[0]), telemetry.ns(times[1]))
            error = ""
            if grpc >= 0:
                more += attribute("rpc.grpc.status_code", grpc)
                error = grpc_status.NAMES[grpc] if grpc_status.is_server_error(grpc) else ""
            telemetry.spans.put(
                spans.server(self._context, self._span_id, at, self._name, status, flags, more + self._attributes, error)
            )

    def _describe_rpc(self, path: bytes) -> None:
        """The path of a gRPC request says what is called."""
        service, _, method = path[1:].rpartition(b"/")
        if service and method and len(path) <= LONGEST_RPC:
            called = (
                ("rpc.system", "grpc"),
                ("rpc.service", service.decode("latin-1")),
                ("rpc.method", method.decode("latin-1")),
            )
            self._attributes += b"".join(attribute(key, value) for key, value in called)
            self._name = path[1:]


class CopiedTrace(Trace):
    """The CLIENT spans of a mirrored copy: marked, beside those of the request itself."""

    __slots__ = ()

    def __init__(self, original: Trace) -> None:
        for slot in Trace.__slots__:
            setattr(self, slot, getattr(original, slot))
        self._next_id = self._attempt_id = b""
        self._attributes += attribute("mesh.mirrored", "true")

    def end(self, spans: HopSpans, times: tuple[float, float], status: int, flags: str, more: bytes, grpc: int) -> None:
        """The request itself has the SERVER span."""


def passed_on(head: "RequestHead") -> bytes:
    """Return the trace context's headers as they came: this proxy takes no part in the trace."""
    parent = b"traceparent: %b\r\n" % head.traceparent if head.traceparent else b""
    if head.b3:
        parent += b3.as_they_came(head.b3)
    return parent + b"tracestate: %b\r\n" % head.tracestate if head.tracestate else parent
