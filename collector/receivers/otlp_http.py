"""OTLP over HTTP: protobuf or JSON, plain or gzip, as an ASGI application."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from collector.admission import Busy, Malformed, TooLarge, inflate
from collector.intake import Intake
from collector.receivers.otlp_answers import answer_to
from collector.receivers.otlp_json import SHARE, to_protobuf
from core.faults import Fault
from storage.telemetry.engine import Signal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PROTOBUF, JSON = b"application/x-protobuf", b"application/json"
RETRY_AFTER_S = b"2"
BODY_S = 30.0
"""How long a sender may take for a body; what it has sent takes memory meanwhile."""

_PATHS: dict[str, Signal] = {"/v1/traces": "traces", "/v1/logs": "logs", "/v1/metrics": "metrics"}


class _NotFound(Fault):
    """No signal is received at this path."""

    code = "unknown_path"


class _WrongMethod(Fault):
    """OTLP is sent by POST."""

    code = "wrong_method"


class _WrongType(Fault):
    """The body comes in a form that is not received here."""

    code = "wrong_type"


class _TooSlow(Fault):
    """The body did not come in time."""

    code = "too_slow"


# HTTP status and google.rpc code for each fault, as the OTLP specification names them.
_ANSWERS: dict[type[Fault], tuple[int, int]] = {
    _NotFound: (404, 5),
    _WrongMethod: (405, 12),
    _WrongType: (415, 3),
    _TooSlow: (408, 4),
    Malformed: (400, 3),
    TooLarge: (413, 8),
    Busy: (429, 8),
}


class OtlpHttp:
    """Receives ``POST /v1/traces``, ``/v1/logs`` and ``/v1/metrics``; answers when the request is durable."""

    def __init__(self, intake: Intake, *, body_s: float = BODY_S) -> None:
        self._intake, self._body_s = intake, body_s
        self._reading = 0
        self._converting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI); it is answered in the form that it came in."""
        form = _content_type(scope)
        try:
            signal, body = await self._request(scope, form, receive)
            admitted = await self._intake.take(signal, body)
        except Fault as fault:
            await _refuse(send, fault, form)
        else:
            await _answer(send, 200, _written(answer_to(signal, admitted), form), form)

    async def _request(self, scope: Scope, form: bytes, receive: Receive) -> tuple[Signal, bytes]:
        try:
            signal = _signal_of(scope, form)
            limit = self._intake.limits.body_bytes
            if form != JSON:
                return signal, await self._read(_headers(scope), receive, limit)
            body = await self._read(_headers(scope), receive, limit // SHARE)
            async with self._converting:  # one at a time, for their memory; elsewhere, for others are answered meanwhile
                return signal, await asyncio.to_thread(to_protobuf, signal, body, self._intake.limits)
        except Fault as fault:
            self._intake.refused(fault)
            raise

    async def _read(self, headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
        encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding not in (b"identity", b"gzip"):
            raise _WrongType(f"Content-Encoding {encoding.decode('latin-1')!r} is not known here; use gzip or none")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > limit:
            raise _too_long(limit)
        try:
            async with asyncio.timeout(self._body_s):
                body = await self._whole(receive, limit)
        except TimeoutError:
            raise _TooSlow(f"the body was not whole after {self._body_s:g} s; send it faster, or in parts") from None
        return inflate(body, limit=limit) if encoding == b"gzip" else body

    async def _whole(self, receive: Receive, limit: int) -> bytes:
        """Read the body; what all senders have sent of theirs so far is bounded too, however slowly they send."""
        chunks: list[bytes] = []
        size, more = 0, True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Malformed("the connection closed before the body was whole")
                chunk = message.get("body", b"")
                chunks.append(chunk)
                size += len(chunk)
                self._reading += len(chunk)
                if size > limit:
                    raise _too_long(limit)
                if self._reading > self._intake.limits.in_flight_bytes:
                    raise Busy(
                        "bodies that are being read take all memory set aside for them; send the same again in a few seconds"
                    )
                more = message.get("more_body", False)
            return b"".join(chunks)  # the very chunk if there is but one
        finally:
            self._reading -= size


def _too_long(limit: int) -> TooLarge:
    return TooLarge(f"the body has more than {limit} bytes (max_body_bytes, a quarter of it for JSON); send it in parts")


def _headers(scope: Scope) -> dict[bytes, bytes]:
    return dict(scope["headers"])


def _content_type(scope: Scope) -> bytes:
    return _headers(scope).get(b"content-type", b"").partition(b";")[0].strip().lower()


def _signal_of(scope: Scope, form: bytes) -> Signal:
    signal = _PATHS.get(scope["path"])
    if signal is None:
        raise _NotFound(
            f"nothing is received at {scope['path']}; traces go to /v1/traces, logs to /v1/logs and metrics to /v1/metrics"
        )
    if scope["method"] != "POST":
        raise _WrongMethod(f"{scope['method']} is not how OTLP is sent; use POST")
    if form not in (PROTOBUF, JSON):
        raise _WrongType(
            f"Content-Type {form.decode('latin-1')!r} is not received here; use application/x-protobuf or application/json"
        )
    return signal


async def _refuse(send: Send, fault: Fault, form: bytes) -> None:
    status, code = _ANSWERS.get(type(fault), (503, 14) if fault.retryable else (500, 13))
    said = Status(code=code, message=str(fault))
    more = [(b"retry-after", RETRY_AFTER_S)] if fault.retryable else []
    if isinstance(fault, _TooSlow):
        more.append((b"connection", b"close"))
    await _answer(send, status, _written(said, form), form, *more)


def _written(message: Message, form: bytes) -> bytes:
    """Return the message in the form that the request came in."""
    return json_format.MessageToJson(message, indent=None).encode() if form == JSON else message.SerializeToString()


async def _answer(send: Send, status: int, body: bytes, form: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", JSON if form == JSON else PROTOBUF), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
