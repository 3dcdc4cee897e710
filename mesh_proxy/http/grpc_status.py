"""gRPC's status codes: what they are called, what they are in HTTP, and what an HTTP status is in gRPC (Envoy's tables)."""

NO_STATUS = -1
UNKNOWN, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 2, 12, 13, 14
NAMES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)

RETRY_EVENTS = {"cancelled": 1, "deadline-exceeded": 4, "resource-exhausted": 8, "internal": 13, "unavailable": 14}
"""App Mesh's grpcRetryEvents and the statuses they mean."""

_AS_HTTP = (200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401)
_FROM_HTTP = {
    400: INTERNAL,
    401: 16,
    403: 7,
    404: UNIMPLEMENTED,
    429: UNAVAILABLE,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}
_SERVER_ERRORS = frozenset({2, 4, 12, 13, 14, 15})


def parse(value: bytes | None) -> int:
    """Return what a ``grpc-status`` header says; NO_STATUS without one, UNKNOWN when it is not a status."""
    if value is None:
        return NO_STATUS
    return int(value) if value.isdigit() and int(value) < len(NAMES) else UNKNOWN


def as_http(status: int) -> int:
    """Return the HTTP status that means what a gRPC status does."""
    return _AS_HTTP[status] if 0 <= status < len(_AS_HTTP) else 500


def from_http(status: int) -> int:
    """Return the gRPC status that a client makes of an HTTP status."""
    return _FROM_HTTP.get(status, UNKNOWN)


def is_server_error(status: int) -> bool:
    """Tell whether a SERVER span with this status is an error (a CLIENT span is, with any but 0)."""
    return status in _SERVER_ERRORS


def percent_encoded(text: str) -> bytes:
    """Return a text as ``grpc-message`` has it."""
    return b"".join(b"%c" % byte if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte for byte in text.encode())
