"""Access log formats: Envoy's command operators, compiled to one function that writes the line of a request."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.faults import Fault
from mesh_model.resources import AccessLog

if TYPE_CHECKING:
    from mesh_proxy.telemetry.access_log import LoggedClient

DEFAULT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n'
)
"""Envoy's, and App Mesh's."""

NOTHING = "-"
_OPERATOR = re.compile(r"%(?P<name>[A-Z_]+)(?:\((?P<argument>[^)]*)\))?(?::(?P<most>\d+))?%|%%")


Value = str | int | None
Reader = Callable[["LoggedClient"], Value]
Line = Callable[["LoggedClient"], bytes]


class FormatUnknown(Fault):
    """The access log's format has an operator that is not known here."""

    code = "access_log_format_unknown"


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


_PLAIN: dict[str, Reader] = {
    "PROTOCOL": lambda entry: entry.protocol,
    "RESPONSE_CODE": lambda entry: entry.status,
    "RESPONSE_FLAGS": lambda entry: entry.flags or NOTHING,
    "BYTES_RECEIVED": lambda entry: entry.received,
    "BYTES_SENT": lambda entry: entry.sent,
    "DURATION": lambda entry: _milliseconds(entry.duration),
    "UPSTREAM_HOST": lambda entry: entry.upstream_host or None,
    "UPSTREAM_CLUSTER": lambda entry: entry.upstream_cluster or None,
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": lambda entry: entry.attempts,
    "ROUTE_NAME": lambda entry: entry.route or None,
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": lambda entry: entry.address or None,
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": lambda entry: entry.address or None,
    "DOWNSTREAM_PEER_URI_SAN": lambda entry: entry.caller or None,
    "TRACE_ID": lambda entry: entry.trace_id or None,
    "GRPC_STATUS_NUMBER": lambda entry: entry.grpc_status if entry.grpc_status >= 0 else None,
}
_WITH_ARGUMENT = ("START_TIME", "REQ", "RESP")
KNOWN = tuple(sorted((*_PLAIN, *_WITH_ARGUMENT)))


def line_of(log: AccessLog) -> Line:
    """Return what writes the line of a request, with its end. Raises FormatUnknown."""
    if log.json:
        readers = [(key, _json_value(value)) for key, value in log.json]
        return lambda entry: json.dumps({key: read(entry) for key, read in readers}, ensure_ascii=False).encode() + b"\n"
    text = log.text if log.text is not None else DEFAULT
    write = _text(text if text.endswith("\n") else f"{text}\n")
    return lambda entry: write(entry).encode()


def _json_value(text: str) -> Reader:
    """Return a value of its own type if the text is a single operator, else the text with its operators written out."""
    found = _OPERATOR.fullmatch(text)
    return _reader(found) if found is not None and found["name"] else _text(text)


def _text(text: str) -> Callable[["LoggedClient"], str]:
    parts: list[str | Reader] = []
    end = 0
    for found in _OPERATOR.finditer(text):
        parts.append(text[end : found.start()])
        parts.append(_reader(found) if found["name"] else "%")
        end = found.end()
    parts.append(text[end:])
    if "%" in (rest := _OPERATOR.sub("", text)):
        raise FormatUnknown(
            f"an access log's format has a % that begins no operator, near `{rest[rest.index('%') :][:30].strip()}`"
        )
    return lambda entry: "".join(part if isinstance(part, str) else _shown(part(entry)) for part in parts)


def _shown(value: Value) -> str:
    """Return a value as text; a line stays one line, whatever a header holds."""
    return NOTHING if value is None else str(value).replace("\n", "\\n").replace("\r", "\\r").replace('"', '\\"')


def _reader(found: re.Match[str]) -> Reader:
    name, argument, most = found["name"], found["argument"] or "", int(found["most"] or 0)
    if name == "START_TIME":
        read = _start_time(argument)
    elif name in ("REQ", "RESP") and argument:
        read = _header(name, argument)
    elif name in _PLAIN and not argument:
        read = _PLAIN[name]
    else:
        raise FormatUnknown(f"an access log's format has `{found[0]}`; expected one of {', '.join(KNOWN)}")
    return _Shortened(read, most) if most else read


def _header(kind: str, argument: str) -> Reader:
    """Return the first header of ``NAME?OTHER`` that is there."""
    names = [name.lower() for name in argument.split("?")]
    if kind == "RESP" and names[0] == "x-envoy-upstream-service-time":
        return lambda entry: _milliseconds(entry.upstream_time)

    def read(entry: "LoggedClient") -> Value:
        find = entry.request_header if kind == "REQ" else entry.response_header
        return next((value for name in names if (value := find(name)) is not None), None)

    return read


def _start_time(form: str) -> Reader:
    def read(entry: "LoggedClient") -> str:
        moment = time.gmtime(entry.started)
        if form:
            return time.strftime(form, moment)
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{int(entry.started * 1000) % 1000:03d}Z"

    return read


@dataclass(frozen=True, slots=True)
class _Shortened:
    read: Reader
    most: int

    def __call__(self, entry: "LoggedClient") -> Value:
        value = self.read(entry)
        return value[: self.most] if isinstance(value, str) else value
