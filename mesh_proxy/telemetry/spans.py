"""The spans of one route towards one target, written as OTLP bytes.

All that does not change between two requests is encoded once per (method, status, flags) and kept; a request adds
its ids, its times and its path. An SDK span costs about 59 us, one of these about 2.
"""

import struct
from dataclasses import dataclass

from mesh_proxy.telemetry import otlp
from mesh_proxy.telemetry.trace_context import TraceContext

SERVER, CLIENT = 2, 3
SPANS_FIELD, ATTRIBUTES_FIELD = 2, 9
REMEMBERED = 512
LONGEST_HOST = 255
_TIMES = struct.Struct("<BQBQ").pack
_ERROR = otlp.message(15, otlp.number(3, 2))


@dataclass(frozen=True, slots=True)
class Hop:
    """What the spans of one route towards one target have in common; ``peer`` is the service called."""

    direction: str
    virtual_service: str = ""
    route: str = ""
    prefix: str = ""
    upstream: str = ""
    peer: str = ""
    peer_version: str = ""


class HopSpans:
    """Writes spans as elements of ``ScopeSpans.spans``; times are nanoseconds since the epoch."""

    __slots__ = ("_common", "_kept", "hop")

    def __init__(self, hop: Hop) -> None:
        self.hop = hop
        self._kept: dict[tuple[int, bytes, int, str, str], bytes] = {}
        common = {
            "component": "proxy",
            "mesh.direction": hop.direction,
            "http.route": hop.prefix,
            "upstream_cluster.name": hop.upstream,
        }
        self._common = b"".join(attribute(key, value) for key, value in common.items() if value)

    def server(
        self,
        context: TraceContext,
        span_id: bytes,
        times: tuple[int, int],
        method: bytes,
        status: int,
        flags: str,
        more: bytes,
        error: str = "",
    ) -> bytes:
        """Return the span of the request received; ``more`` are attributes of this very request.

        ``method`` is HTTP's, or ``service/method`` of a gRPC call, whose ``error`` is not to be seen in ``status``.
        """
        key = (SERVER, method, status, flags, error)
        fixed = self._kept.get(key) or self._keep(key)
        parent = b"\x22\x08" + context.parent_id if context.parent_id else b""
        return _span(context.trace_id, span_id, parent, times, fixed, more)

    def client(
        self,
        context: TraceContext,
        ids: tuple[bytes, bytes],
        times: tuple[int, int],
        method: bytes,
        status: int,
        flags: str,
        error: str,
        more: bytes,
    ) -> bytes:
        """Return the span of one attempt; ``ids`` are its own and its SERVER span's, ``error`` its ``error.type`` or empty."""
        key = (CLIENT, method, status, flags, error)
        fixed = self._kept.get(key) or self._keep(key)
        return _span(context.trace_id, ids[0], b"\x22\x08" + ids[1], times, fixed, more)

    def _keep(self, key: tuple[int, bytes, int, str, str]) -> bytes:
        kind, method_bytes, status, flags, error = key
        hop, method = self.hop, method_bytes.decode("latin-1")
        name = method if "/" in method else f"{method} {hop.prefix}".rstrip()
        method = "POST" if "/" in method else method
        own: dict[str, str | int] = {"http.request.method": method, "response_flags": flags or "-"}
        if status:
            own["http.response.status_code"] = status
        if kind == SERVER:
            own |= {"mesh.virtual_service": hop.virtual_service, "mesh.route": hop.route}
        else:
            own |= {"peer.service": hop.peer, "peer.version": hop.peer_version, "error.type": error}
        failed = bool(error) or (kind == SERVER and status >= 500)
        fixed = b"".join(
            (
                otlp.message(5, name.encode()),
                otlp.number(6, kind),
                self._common,
                b"".join(attribute(name, value) for name, value in own.items() if value != ""),
                _ERROR if failed else b"",
            )
        )
        if len(self._kept) >= REMEMBERED:
            self._kept.clear()
        self._kept[key] = fixed
        return fixed


class PeerAttributes:
    """What SERVER spans say of a connection and, again and again, of the same host."""

    __slots__ = ("_client", "_host", "_last")

    def __init__(self, peer: tuple[str, int] | None) -> None:
        self._client = attribute("client.address", str(peer[0])) if peer else b""
        self._host = self._last = b""

    def of(self, host: bytes) -> bytes:
        """Return the attributes of a request to this host."""
        if host != self._last:
            self._last = host
            self._host = attribute("server.address", host[:LONGEST_HOST].decode("latin-1"))
        return self._client + self._host


def attribute(key: str, value: str | int) -> bytes:
    """Return one attribute of a span."""
    return otlp.attribute(ATTRIBUTES_FIELD, key, value)


def trace_state(value: bytes) -> bytes:
    """Return a span's ``trace_state``; empty stays empty."""
    return otlp.message(3, value) if value and value.isascii() else b""


def _span(trace_id: bytes, span_id: bytes, parent: bytes, times: tuple[int, int], fixed: bytes, more: bytes) -> bytes:
    body = b"".join((b"\x0a\x10", trace_id, b"\x12\x08", span_id, parent, _TIMES(0x39, times[0], 0x41, times[1]), fixed, more))
    size = len(body)
    if 128 <= size < 16384:
        return bytes((0x12, size & 127 | 128, size >> 7)) + body
    return otlp.message(SPANS_FIELD, body)
