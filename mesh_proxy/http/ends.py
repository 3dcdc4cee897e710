"""What an exchange stands between: the client that asked, and the way to the endpoint that answers."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mesh_proxy.exchange.exchange import Exchange
    from mesh_proxy.exchange.rescue import Rescue
    from mesh_proxy.tls.peer import Peer


class Client(Protocol):
    """Who asked, in whatever protocol it speaks: it frames the answer. Header lines are ``name: value`` with CR LF.

    An exchange calls perhaps ``invite``; then ``answer``, any number of ``answer_body``, ``answer_end`` and ``done``; or
    ``reply`` and ``done``; or at any time ``abort``. What was given is written at the latest with ``flush`` or ``done``.
    """

    @property
    def congested(self) -> bool:
        """Whether more has been written than the client reads just now."""
        ...

    @property
    def protocol(self) -> str:
        """What it speaks, such as HTTP/1.1."""
        ...

    @property
    def peer(self) -> "Peer | None":
        """Who the client is by its certificate; None: it showed none."""
        ...

    @property
    def address(self) -> str:
        """Where the client is, without its port."""
        ...

    def invite(self) -> None:
        """Tell the client to send the body that it holds back until somebody wants it (100 Continue)."""
        ...

    def answer(self, status: int, lines: list[bytes], length: bytes | None, bodiless: bool) -> None:
        """Begin the answer. ``length`` is its content-length; ``bodiless``: nothing follows, whatever the length says."""
        ...

    def answer_body(self, piece: bytes) -> None:
        """Take a piece of the answer's body, not empty."""
        ...

    def answer_end(self, trailers: tuple[bytes, ...]) -> None:
        """End the answer; trailers pass on where the client can take them."""
        ...

    def reply(self, why: "Rescue") -> None:
        """Answer in the endpoint's place, as a client of this protocol understands it."""
        ...

    def flush(self) -> None:
        """Write what was given so far."""
        ...

    def done(self) -> None:
        """The exchange is over and answered."""
        ...

    def abort(self) -> None:
        """The exchange is over and its answer is not whole: let the client see that. What was not written is dropped."""
        ...

    def hold(self) -> None:
        """Take no more of the request for now."""
        ...

    def resume(self) -> None:
        """Take the request again."""
        ...

    def span_attributes(self, host: bytes) -> bytes:
        """Return what SERVER spans say of the connection and the host."""
        ...


class Way(Protocol):
    """One attempt's way to an endpoint, in whatever protocol that speaks: it frames the request.

    An exchange calls ``serve``, any number of ``send_body``, ``end_body``. The way calls the exchange's ``response_head``,
    ``response_body`` and ``response_complete``, or once ``attempt_failed``; nothing after ``let_go`` or ``close``.
    """

    def serve(self, exchange: "Exchange", caller: bytes) -> None:
        """Send the head of ``exchange.outgoing``; ``caller`` are the header lines of the trace context and of who calls."""
        ...

    def send_body(self, piece: bytes) -> None:
        """Send a piece of the request's body, not empty."""
        ...

    def end_body(self, trailers: tuple[bytes, ...]) -> None:
        """The request's body is complete."""
        ...

    def hold(self) -> None:
        """Take no more of the response for now."""
        ...

    def resume(self) -> None:
        """Take the response again."""
        ...

    def let_go(self) -> None:
        """Nobody wants the rest of this response; what it came on may be kept for others."""
        ...

    def close(self) -> None:
        """Nobody wants the response, which may not even have begun."""
        ...
