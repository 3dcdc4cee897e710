"""Zipkin's B3 headers: one ``b3`` header, or several ``x-b3-*``; a caller that sends one form gets the same form passed on."""

import re
from collections.abc import Sequence

from mesh_proxy.telemetry.trace_context import TraceContext

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, and values."""

_SINGLE = b"b3"
_TRACE, _SPAN, _PARENT, _SAMPLED, _FLAGS = (
    b"x-b3-traceid",
    b"x-b3-spanid",
    b"x-b3-parentspanid",
    b"x-b3-sampled",
    b"x-b3-flags",
)
NAMES = frozenset({_SINGLE, _TRACE, _SPAN, _PARENT, _SAMPLED, _FLAGS})

_TRACE_ID = re.compile(rb"(?!0+$)([0-9a-f]{16}|[0-9a-f]{32})")
_SPAN_ID = re.compile(rb"(?!0{16})[0-9a-f]{16}")
_NOT_SAMPLED = frozenset({b"0", b"false"})
_SAID = frozenset({b"1", b"0", b"d", b"true", b"false"})
_DEBUG = b"d"


def parse(headers: Headers) -> TraceContext | None:
    """Return the place in a trace that B3 headers name; None when they name none, or are no B3.

    A caller that says nothing of sampling leaves it to us: we record. A trace id of 64 bits has zeros before it.
    """
    trace, span, sampled = _fields(headers)
    if not (_TRACE_ID.fullmatch(trace) and _SPAN_ID.fullmatch(span)):
        return None
    recorded = sampled not in _NOT_SAMPLED
    return TraceContext(
        bytes.fromhex(trace.decode().zfill(32)), bytes.fromhex(span.decode()), b"01" if recorded else b"00", recorded
    )


def refuses(headers: Headers) -> bool:
    """Return whether the caller decided against recording, with or without a trace."""
    return _fields(headers)[2] in _NOT_SAMPLED


def header_lines(headers: Headers, context: TraceContext, span_id: bytes, parent_id: bytes) -> bytes:
    """Return the lines that make ``span_id`` (a child of ``parent_id``) the caller, in the form in which ``headers`` came."""
    trace, span, parent = (each.hex().encode() for each in (context.trace_id, span_id, parent_id))
    recorded = b"1" if context.sampled else b"0"
    debug = _fields(headers)[2] == _DEBUG
    if headers[0][0] == _SINGLE:
        return b"b3: %b-%b-%b-%b\r\n" % (trace, span, _DEBUG if debug else recorded, parent)
    said = (_FLAGS, b"1") if debug else (_SAMPLED, recorded)
    lines = ((_TRACE, trace), (_SPAN, span), (_PARENT, parent), said)
    return b"".join(b"%b: %b\r\n" % line for line in lines)


def as_they_came(headers: Headers) -> bytes:
    """Return the lines of a caller whose trace this proxy takes no part in."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)


def _fields(headers: Headers) -> tuple[bytes, bytes, bytes]:
    """Return the ids of trace and span in lower case, and what is said of sampling: ``1``, ``0``, ``d`` or nothing."""
    found = dict(headers)
    single = found.get(_SINGLE)
    if single is None:
        said = _DEBUG if found.get(_FLAGS) == b"1" else found.get(_SAMPLED, b"").lower()
        return found.get(_TRACE, b"").lower(), found.get(_SPAN, b"").lower(), said
    parts = [*single.lower().split(b"-"), b"", b"", b""]
    if parts[0] in _SAID:
        return b"", b"", parts[0]
    return parts[0], parts[1], parts[2]
