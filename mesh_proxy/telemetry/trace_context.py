"""The W3C trace context: who called, and whether the trace is recorded."""

import re
from binascii import hexlify
from random import Random
from typing import NamedTuple

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class TraceContext(NamedTuple):
    """A place in a trace: 16 bytes of trace id, 8 bytes of the caller's span id (empty at a root), the flags as sent."""

    trace_id: bytes
    parent_id: bytes
    flags: bytes
    sampled: bool


def parse(traceparent: bytes) -> TraceContext | None:
    """Return what a ``traceparent`` header says; None when it must be ignored."""
    if len(traceparent) != 55 and (traceparent[:2] == b"00" or traceparent[55:56] != b"-"):
        return None
    if _TRACEPARENT.match(traceparent) is None:
        return None
    text = traceparent.decode("latin-1")
    return TraceContext(bytes.fromhex(text[3:35]), bytes.fromhex(text[36:52]), traceparent[53:55], bool(int(text[54], 16) & 1))


def new_ids(random: Random) -> bytes:
    """Return 32 random bytes: a trace id and two span ids, in one draw (all zeros once in 2^64 times)."""
    return random.getrandbits(256).to_bytes(32, "big")


def header_line(context: TraceContext, span_id: bytes) -> bytes:
    """Return the ``traceparent`` header that makes ``span_id`` the caller."""
    return b"traceparent: 00-%b-%b-%b\r\n" % (hexlify(context.trace_id), hexlify(span_id), context.flags)
