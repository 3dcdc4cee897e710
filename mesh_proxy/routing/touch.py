"""What tags ask for, done to one request: kept at an endpoint, limited, delayed, refused, mirrored, its headers edited."""

from typing import TYPE_CHECKING

from mesh_proxy.exchange.rescue import Rescue, joined

if TYPE_CHECKING:
    from mesh_proxy.exchange.exchange import Exchange
    from mesh_proxy.http.ends import Client
    from mesh_proxy.routing.routes import Lane, LiveRoute
    from mesh_proxy.side import Side

RATE_LIMITED = "local_rate_limited"
TOO_BUSY = Rescue("UO", 503, "reached concurrency limit", "overflow")


class Touch:
    """Made only for requests whose route or target asks for it. ``key`` is what keeps the caller at one endpoint.

    In this order: rate limit, admission, concurrency, delay, abort, mirror (the request as it came), edits of the request;
    later of the answer.
    """

    __slots__ = ("_cookie", "_entered", "_exchange", "_flag", "_mirrored", "_route", "_side", "_since", "key")

    def __init__(self, exchange: "Exchange", side: "Side", client: "Client", route: "LiveRoute", lane: "Lane") -> None:
        self._exchange, self._side, self._route = exchange, side, route
        self.key: int | None = None
        self._flag, self._cookie, self._since = "", b"", 0.0
        self._mirrored = self._entered = False
        if lane.target.sticky is not None:
            self.key, self._cookie = lane.target.sticky.of(exchange.head.lines, client.address)

    def holds(self, now: float) -> bool:
        """Do what is asked for; return whether the request was refused or has to wait, so that nobody else goes on with it."""
        effects, exchange = self._route.effects, self._exchange
        if effects is None:
            return False
        self._since = now
        lines, chance = exchange.head.lines, self._side.random.random
        refused = effects.refusal(lines, now)
        if refused is not None:
            exchange.refuse(Rescue("RL", 429, RATE_LIMITED, "rate_limited", refused))
            return True
        self._entered = effects.enters(chance, now)
        if not self._entered:
            exchange.refuse(TOO_BUSY)
            return True
        wait, status = effects.delay_s(lines, chance), effects.abort_status(lines, chance)
        copied = self._route.mirror is not None and not status and not exchange.head.upgrade
        self._mirrored = copied and effects.is_mirrored(lines, chance)
        if exchange.body.complete:
            self.request_complete()
        if effects.request is not None:
            exchange.outgoing = exchange.outgoing._replace(lines=effects.request.apply(exchange.outgoing.lines))
        if wait:
            self._flag = "DI"
            exchange.later(wait, (lambda: self._abort(status)) if status else exchange.go_on)
        elif status:
            self._abort(status)
        return bool(wait or status)

    def request_complete(self) -> None:
        """The whole request is there: send a copy of it, if one is wanted."""
        if self._mirrored and self._route.mirror is not None:
            self._mirrored = False
            self._route.mirror.send(self._exchange, self._side)

    def edited(self, lines: list[bytes]) -> list[bytes]:
        """Return the headers of the answer as the client gets them."""
        effects = self._route.effects
        if effects is not None and effects.response is not None:
            lines = effects.response.apply(lines)
        return [*lines, self._cookie] if self._cookie else lines

    def ended(self, flags: str, status: int) -> str:
        """The request is over, with this status; return its response flags."""
        effects = self._route.effects
        if self._entered and effects is not None:
            now = self._side.clock.monotonic()
            effects.left(well=status < 500 if status else None, latency_s=now - self._since, now=now)
        return joined(self._flag, flags)

    def _abort(self, status: int) -> None:
        self._exchange.refuse(Rescue("FI", status, "fault filter abort", "fault_injected"))
