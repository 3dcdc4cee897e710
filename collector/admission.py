"""Admission: what may come in, decided before it costs memory, with an answer that says why not."""

import zlib
from dataclasses import dataclass

from core.faults import Fault


class Malformed(Fault):
    """The body is not what it claims to be; sending it again will not help."""

    code = "malformed"


class TooLarge(Fault):
    """The request is larger than the limits; send it in smaller parts."""

    code = "too_large"


class Busy(Fault):
    """There is more telemetry in flight than memory is set aside for; send the same again a little later."""

    code = "busy"
    retryable = True


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request, and all that are in flight, may take."""

    body_bytes: int = 16 * 1024 * 1024
    items_per_request: int = 100_000
    in_flight_bytes: int = 128 * 1024 * 1024
    values_per_request: int = 250_000
    copied_bytes: int = 64 * 1024 * 1024


def inflate(body: bytes, *, limit: int) -> bytes:
    """Return gzip's content; raise TooLarge as soon as it passes ``limit`` bytes, Malformed when it is not gzip."""
    parts: list[bytes] = []
    left = limit
    while body:
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(body, left + 1)
        except zlib.error as error:
            raise Malformed(f"the body is not gzip, though Content-Encoding says so: {error}") from None
        left -= len(part)
        if left < 0:
            raise TooLarge(f"the body inflates to more than {limit} bytes (max_body_bytes); send it in parts")
        if not member.eof:
            raise Malformed("the gzip body ends too early")
        parts.append(part)
        body = member.unused_data
    return b"".join(parts)
