"""Copies of requests for another target: sent beside, their answers read and forgotten."""

from typing import TYPE_CHECKING

from mesh_proxy.exchange.exchange import Exchange
from mesh_proxy.telemetry.trace import CopiedTrace

if TYPE_CHECKING:
    from mesh_proxy.exchange.rescue import Rescue
    from mesh_proxy.routing.routes import LiveRoute
    from mesh_proxy.side import Side

MOST_COPIES = 256
"""Under way at one time for one route; further ones are not made, and counted."""
MARK = b"x-meshscope-mirrored: true\r\n"


class Nobody:
    """The client of a copy: it takes whatever comes, and wants none of it."""

    protocol = ""

    congested = False
    address = ""
    peer = None

    def invite(self) -> None:
        """The request is complete as it is."""

    def answer(self, status: int, lines: list[bytes], length: bytes | None, bodiless: bool) -> None:
        """Take the head."""

    def answer_body(self, piece: bytes) -> None:
        """Take a piece."""

    def answer_end(self, trailers: tuple[bytes, ...]) -> None:
        """Take the end."""

    def reply(self, why: "Rescue") -> None:
        """Take the proxy's word for it."""

    def flush(self) -> None:
        """There is nothing to write."""

    def done(self) -> None:
        """Nobody waited."""

    def abort(self) -> None:
        """Nobody minds."""

    def hold(self) -> None:
        """The request is complete as it is."""

    def resume(self) -> None:
        """The request is complete as it is."""

    def span_attributes(self, host: bytes) -> bytes:
        """There is no SERVER span."""
        return b""


NOBODY = Nobody()


class Copy(Exchange):
    """A copy of a request on its way. It counts for its target as any request does, but not among the requests of its side."""

    __slots__ = ("_mirror",)

    def __init__(self, original: Exchange, side: "Side", mirror: "Mirror") -> None:
        head = original.outgoing
        super().__init__(NOBODY, side, head._replace(lines=[*head.lines, MARK], expects_continue=False))
        self.body, self._mirror = original.body, mirror
        self.trace = CopiedTrace(original.trace) if original.trace is not None else None

    def start(self) -> None:
        """Send it."""
        side, route = self._side, self._mirror.route
        self.started = self._complete_at = now = side.clock.monotonic()
        self.route, self.lane = route, route.lanes.pick()
        self.lane.target.active += 1
        side.watch_request(self, route.timeout.per_request_s, now)
        self._attempt(now)

    def _finish(self, *, whole: bool = True) -> None:
        self.finished = True
        if self.route is not None and self.lane is not None:
            self.lane.target.active -= 1
            self._side.unwatch_request(self, self.route.timeout.per_request_s)
        self._mirror.over()
        self._side.counts.mirrored["answered" if whole and self._answered else "failed"] += 1


class Mirror:
    """Sends copies by a route of their own, within bounds: short requests, and so many at a time."""

    __slots__ = ("_under_way", "route")

    def __init__(self, route: "LiveRoute") -> None:
        self.route = route
        self._under_way = 0

    def __repr__(self) -> str:
        return f"<Mirror {self.route.entry.mirror} {self._under_way} under way>"

    def send(self, original: Exchange, side: "Side") -> None:
        """Send a copy of a request that is complete, if it is held whole and not too many are under way."""
        if not original.body.replayable:
            side.counts.mirrored["too_large"] += 1
        elif self._under_way >= MOST_COPIES:
            side.counts.mirrored["too_many"] += 1
        else:
            self._under_way += 1
            Copy(original, side, self).start()

    def over(self) -> None:
        """A copy is over."""
        self._under_way -= 1
