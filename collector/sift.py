"""Sifts a request: what can be stored comes in, and the sender is told what of it was refused, and why."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags, NumberDataPoint

from collector.admission import Limits, Malformed
from collector.look import PIECE, Seen, look, not_a, why
from collector.outlines import ITEMS, KINDS, REQUESTS, outline
from core.wire import inside
from storage.telemetry.engine import Signal

ROWS: dict[Signal, str] = {"traces": "spans", "logs": "log records", "metrics": "data points"}


@dataclass(frozen=True, slots=True)
class Admitted:
    """What of a request comes in: ``body`` has its ``items``, without the ``refused`` rows, which ``message`` tells about.

    ``copied`` are the bytes of what its rows share, once for each row: storing them takes as much memory.
    """

    body: bytes
    items: int
    copied: int = 0
    refused: int = 0
    message: str = ""


def admit(signal: Signal, body: bytes, limits: Limits) -> Admitted:
    """Return what of the request can be stored; raise TooLarge (see ``look``), or Malformed when nothing can."""
    seen = look(signal, body, limits)
    if seen.flawless:
        return Admitted(body, seen.items, seen.copied)
    return _Sieve(signal, limits).sift(body, seen)


class _Sieve:
    """Looks at each span, log record or point of one request; slow, but only few requests need it."""

    def __init__(self, signal: Signal, limits: Limits) -> None:
        self._signal, self._limits = signal, limits
        self._items, self._rows = 0, 0
        self._reasons: Counter[str] = Counter()

    def sift(self, body: bytes, seen: Seen) -> Admitted:
        far = outline("Outline").FromString(body)
        for group in far.groups:
            for scope in group.scopes:
                self._keep(scope, "items", self._metric if self._signal == "metrics" else self._item)
        if not self._reasons:
            if seen.unreadable:
                raise not_a(REQUESTS[self._signal], body, seen.unreadable)
            return Admitted(body, self._items, seen.copied)
        kept = far.SerializeToString()
        refused = self._reasons.total()
        reasons = "; ".join(f"{reason} ({number})" for reason, number in self._reasons.most_common())
        message = f"{refused} of {self._rows} {ROWS[self._signal]} were refused: {reasons}"
        if refused == self._rows:
            raise Malformed(message)
        rest = look(self._signal, kept, self._limits)
        if rest.unreadable:
            raise not_a(REQUESTS[self._signal], body, rest.unreadable)
        return Admitted(kept, self._items, rest.copied, refused, message)

    def _keep(self, owner: Any, name: str, sieve: Callable[[bytes], Iterable[bytes]]) -> None:
        """Put each member of a list through a sieve, and keep what that returns of it."""
        members = getattr(owner, name)
        before = self._reasons.total()
        kept = [part for member in members for part in sieve(member)]
        if self._reasons.total() > before:
            owner.ClearField(name)
            getattr(owner, name).extend(kept)

    def _item(self, item: bytes) -> list[bytes]:
        self._rows += 1
        reason = self._unreadable(item) or (_id_at_fault(item) if self._signal == "traces" else "")
        if reason:
            self._reasons[reason] += 1
            return []
        self._items += 1
        return [item]

    def _metric(self, item: bytes) -> list[bytes]:
        metric = outline("Metric").FromString(item)
        points = sum(len(kept.points) for kind, kept in metric.ListFields() if kind.name in KINDS)
        if reason := self._unreadable(item):
            self._rows += points or 1
            self._reasons[reason] += points or 1
            return []
        self._items += 1
        self._rows += points
        before = self._reasons.total()
        for kind in ("gauge", "sum"):
            self._keep(getattr(metric, kind), "points", self._number)
        return [item] if self._reasons.total() == before else [metric.SerializeToString()]

    def _number(self, point: bytes) -> list[bytes]:
        read = NumberDataPoint.FromString(point)
        if read.WhichOneof("value") or read.flags & DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK:
            return [point]
        self._reasons["a data point needs a value, or the flag that none was recorded"] += 1
        return []

    def _unreadable(self, item: bytes) -> str:
        message = ITEMS[self._signal]
        if len(item) > PIECE:
            reason = look(self._signal, inside((1, 2, 2), item), self._limits).unreadable
            return reason and f"not a protobuf {message.DESCRIPTOR.full_name}: {reason}"
        try:
            message.FromString(item)
        except DecodeError as error:
            return f"not a protobuf {message.DESCRIPTOR.full_name}: {why(error)}"
        return ""


def _id_at_fault(item: bytes) -> str:
    span = outline("Span").FromString(item)
    if len(span.trace_id) != 16 or not any(span.trace_id):
        return "trace_id must have 16 bytes (32 hex digits in JSON), not all zero"
    if len(span.span_id) != 8 or not any(span.span_id):
        return "span_id must have 8 bytes (16 hex digits in JSON), not all zero"
    if len(span.parent_span_id) not in (0, 8):
        return "parent_span_id must have 8 bytes (16 hex digits in JSON), or none"
    return ""
