"""A look at a request: what it holds, within bounds, and whether each item of it has to be looked at singly."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message

from collector.admission import Limits, Malformed, TooLarge
from collector.outlines import ITEMS, KINDS, LISTS, REQUESTS, merged, outline
from core.wire import fields, inside
from storage.telemetry.engine import Signal

PIECE = 512 * 1024
"""A larger request is looked at in pieces: parsed, a list of nothing takes thirty times its bytes."""

_ITEM_DEPTH = 3
_NUMBERS = ("gauge", "sum")
_WAY = LISTS.union(KINDS)
"""The fields that lead to rows; whatever stands beside them is shared by these rows."""

_IDS = frozenset({"trace_id", "span_id", "parent_span_id"})
_BESIDE_IDS = frozenset(ITEMS["traces"].DESCRIPTOR.fields_by_name) - _IDS
_GATHERED = _IDS | {"as_double", "as_int"}
_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)


@dataclass(slots=True)
class Seen:
    """What a request holds; ``rows`` are its spans, log records or points, ``values`` what its lists hold altogether.

    ``copied`` are the bytes of resources, scopes and metrics' names, once for each row. ``flawless`` says that no item can
    be at fault; else each has to be looked at. ``unreadable`` says why protobuf cannot read the request, if it cannot.
    """

    groups: int = 0
    scopes: int = 0
    items: int = 0
    rows: int = 0
    values: int = 0
    copied: int = 0
    fields: int = 0
    flawless: bool = True
    unreadable: str = ""


def check(signal: Signal, body: bytes, limits: Limits) -> int:
    """Return how many spans, log records or metrics the request holds; raise Malformed or TooLarge (see ``look``)."""
    seen = look(signal, body, limits)
    if seen.unreadable:
        raise not_a(REQUESTS[signal], body, seen.unreadable)
    return seen.items


def look(signal: Signal, body: bytes, limits: Limits) -> Seen:
    """Return what the request holds; raise TooLarge when that passes a limit, Malformed when its outline cannot be read.

    Nothing is parsed before it is counted, and never more than PIECE bytes at once: 2 KB of gzip can hold a million empty
    spans, which would take 157 MB.
    """
    if len(body) > limits.body_bytes:
        raise TooLarge(f"the body has {len(body)} bytes, the limit is {limits.body_bytes} (max_body_bytes); send it in parts")
    looking = _Looking(signal, body, limits)
    try:
        if len(body) <= PIECE:
            looking.look_at(body)
        else:
            looking.cut(REQUESTS[signal].DESCRIPTOR, 0, len(body), ())
    except (DecodeError, ValueError) as error:
        raise not_a(REQUESTS[signal], body, why(error)) from None
    return looking.seen


def why(error: Exception) -> str:
    """Return what of a parser's complaint is of use."""
    return str(error).rpartition(": ")[2]


def not_a(message: type[Message], body: bytes, reason: str) -> Malformed:
    """Return the fault of bytes that are no such message."""
    return Malformed(f"the body is not a protobuf {message.DESCRIPTOR.full_name}: {_hint(body) or reason}")


class _Looking:
    """One request that is being looked at, piece by piece."""

    def __init__(self, signal: Signal, body: bytes, limits: Limits) -> None:
        self._signal, self._body, self._limits = signal, body, limits
        # Each value takes two bytes or more, so that most requests cannot hold too many.
        self._may_hold_too_many = len(body) > 2 * limits.values_per_request
        self.seen = Seen()

    def cut(self, message: Any, begin: int, end: int, path: tuple[int, ...]) -> None:
        """Look at ``body[begin:end]``, a message so described at the end of ``path``, in pieces.

        A piece is a run of whole fields, in as many messages as stand around it: a request of its own. A field that is larger
        than a piece is cut in turn, if it is a message.
        """
        rows, copied, run = self.seen.rows, 0, begin
        if len(path) == _ITEM_DEPTH:
            self.seen.flawless = False  # its pieces are counted as items of their own
        for number, start, content, following in fields(self._body, begin, end):
            self._count_field()
            field = message.fields_by_number.get(number)
            if field is None or field.name not in _WAY:
                copied += following - start
            if following - run <= PIECE:
                continue
            self._look_at_run(run, start, path)
            run = start
            if field is not None and field.message_type is not None and following - start > PIECE:
                self.cut(field.message_type, content, following, (*path, number))
                run = following
        self._look_at_run(run, end, path)
        if not _WAY.isdisjoint(message.fields_by_name):
            self._count_copies(copied * (self.seen.rows - rows))

    def look_at(self, piece: bytes) -> None:
        """Count what the piece holds, then read it."""
        seen, far = self.seen, outline("Outline").FromString(piece)
        seen.groups += len(far.groups)
        self._bound("groups", seen.groups)
        seen.scopes += sum(len(group.scopes) for group in far.groups)
        self._bound("groups", seen.scopes)
        items, numbers = self._count_rows(far)
        try:
            near = merged(self._signal, counting=self._may_hold_too_many).FromString(piece)
        except DecodeError as error:
            seen.unreadable, seen.flawless = why(error), False
            return
        if self._may_hold_too_many:
            seen.values += _members(near)
            _bound("values", seen.values, self._limits.values_per_request, "max_values_per_request")
        seen.flawless = seen.flawless and self._is_flawless(near, items, numbers)

    def _look_at_run(self, begin: int, end: int, path: tuple[int, ...]) -> None:
        if begin < end:
            self.look_at(inside(path, self._body[begin:end]))

    def _count_rows(self, far: Any) -> tuple[int, int]:
        """Count items and rows; return how many items there are, and how many points that are a number each."""
        seen, numbers = self.seen, 0
        items = sum(len(scope.items) for group in far.groups for scope in group.scopes)
        seen.items += items
        self._bound("items", seen.items)
        for group in far.groups:
            for scope in group.scopes:
                shared = len(group.resource) + len(scope.scope)
                if self._signal != "metrics":
                    seen.rows += len(scope.items)
                    self._count_copies(shared * len(scope.items))
                    continue
                for item in scope.items:
                    metric = outline("Metric").FromString(item)
                    points = {kind.name: len(kept.points) for kind, kept in metric.ListFields() if kind.name in KINDS}
                    numbers += sum(points.get(kind, 0) for kind in _NUMBERS)
                    seen.rows += sum(points.values())
                    self._bound("points", seen.rows)
                    self._count_copies((shared + len(metric.name) + len(metric.unit)) * sum(points.values()))
        return items, numbers

    def _is_flawless(self, near: Any, items: int, numbers: int) -> bool:
        if self._signal == "traces":
            return _ids_are_whole(near.resource_spans.scope_spans.spans, items)
        if self._signal == "metrics":
            metric = near.resource_metrics.scope_metrics.metrics
            kinds = [getattr(metric, kind).data_points for kind in _NUMBERS]
            return sum(len(points.as_double) + len(points.as_int) for points in kinds) == numbers
        return True

    def _count_field(self) -> None:
        self.seen.fields += 1
        _bound("values", self.seen.fields, self._limits.values_per_request, "max_values_per_request")

    def _count_copies(self, number: int) -> None:
        self.seen.copied += number
        if self.seen.copied > self._limits.copied_bytes:
            raise TooLarge(
                f"the request's resources, scopes and names come to {self.seen.copied} bytes when each row gets its copy, "
                f"the limit is {self._limits.copied_bytes} (max_copied_bytes); send it in parts"
            )

    def _bound(self, what: str, number: int) -> None:
        _bound(what, number, self._limits.items_per_request, "max_items_per_request")


def _bound(what: str, number: int, limit: int, setting: str) -> None:
    if number > limit:
        raise TooLarge(f"the request holds {number} {what}, the limit is {limit} ({setting}); send it in parts")


def _ids_are_whole(span: Any, number: int) -> bool:
    """Return whether that many spans, which are merged into this one, have ids as OTLP demands.

    The ids are written again, with nothing else: then each stands behind its tag and its length, at equal distances.
    """
    for name in _BESIDE_IDS:
        span.ClearField(name)
    parents = len(span.parent_span_id)
    span.DiscardUnknownFields()
    ids = span.SerializeToString()
    traces, spans, rest = ids[: number * 18], ids[number * 18 : number * 28], ids[number * 28 :]
    return (
        len(ids) == number * 28 + parents * 10
        and _all(traces, b"\x0a\x10", number, 18)
        and _all(spans, b"\x12\x08", number, 10)
        and _all(rest, b"\x22\x08", parents, 10)
        and _NO_TRACE not in traces
        and _NO_SPAN not in spans
    )


def _all(ids: bytes, head: bytes, number: int, length: int) -> bool:
    return ids[0::length] == head[:1] * number and ids[1::length] == head[1:] * number


def _members(message: Any) -> int:
    """Return how many members the lists of a message have, its lists' lists included; what one attribute holds is not seen."""
    total = 0
    for field, value in message.ListFields():
        nested = field.message_type is not None and field.message_type.name not in ("KeyValue", "AnyValue")
        if isinstance(value, Message):
            total += _members(value) if nested else 0
        elif not isinstance(value, str | bytes | int | float) and field.name not in _GATHERED:
            total += len(value) + (sum(map(_members, value)) if nested else 0)
    return total


def _hint(body: bytes) -> str:
    if body[:2] == b"\x1f\x8b":
        return "it is gzip; say so with Content-Encoding: gzip"
    if body.lstrip()[:1] in (b"{", b"["):
        return "it looks like JSON; send protobuf"
    return ""
