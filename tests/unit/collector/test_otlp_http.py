import asyncio
from collections.abc import MutableMapping
from typing import Any

from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from collector.admission import Limits
from collector.counts import Counts
from collector.intake import Intake
from collector.receivers.otlp_http import OtlpHttp
from storage.telemetry.engine import Signal
from tests.fakes.spans import SERVER, Span, request

Message = MutableMapping[str, Any]
SCOPE = {"type": "http", "path": "/v1/traces", "method": "POST", "headers": [(b"content-type", b"application/x-protobuf")]}


class NullBus:
    """Takes every request."""

    async def publish(self, signal: Signal, request: bytes, copied: int = 0) -> None:
        pass

    async def close(self) -> None:
        pass


class Sender:
    """Sends a body in two parts; the second one only when told to."""

    def __init__(self, first: bytes, second: bytes) -> None:
        self._parts = [first, second]
        self.go_on = asyncio.Event()
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if len(self._parts) == 1:
            await self.go_on.wait()
        return {"type": "http.request", "body": self._parts.pop(0), "more_body": bool(self._parts)}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


async def test_a_body_that_does_not_come_is_cut_off() -> None:
    counts = Counts()
    app = OtlpHttp(Intake(NullBus(), Limits(), counts), body_s=0.2)
    slow = Sender(b"x", b"")
    await app(SCOPE, slow.receive, slow.send)
    assert slow.status == 408
    assert (b"connection", b"close") in slow.sent[0]["headers"]
    assert "not whole after 0.2 s" in Status.FromString(slow.sent[1]["body"]).message
    assert counts.refused_requests == {"too_slow": 1}


async def test_slow_bodies_take_no_more_memory_than_is_set_aside() -> None:
    counts = Counts()
    app = OtlpHttp(Intake(NullBus(), Limits(in_flight_bytes=1000), counts))
    body = request([Span("shop", SERVER)])
    slow = Sender(body, b"")
    reading = asyncio.create_task(app(SCOPE, slow.receive, slow.send))
    await asyncio.sleep(0)
    second = Sender(bytes(1000), b"")
    await app(SCOPE, second.receive, second.send)
    assert second.status == 429
    assert "send the same again" in Status.FromString(second.sent[1]["body"]).message
    assert counts.refused_requests == {"busy": 1}
    slow.go_on.set()
    await reading
    assert slow.status == 200
    third = Sender(body, b"")  # the room is there again
    third.go_on.set()
    await app(SCOPE, third.receive, third.send)
    assert third.status == 200
