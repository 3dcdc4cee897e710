"""The access log of one proxy: a line for each request, in a file, written beside the traffic."""

import logging
import os
from collections import Counter
from typing import TYPE_CHECKING

from core.clock import Clock
from mesh_model.resources import AccessLog as Spec
from mesh_proxy.telemetry.access_log_format import line_of

if TYPE_CHECKING:
    from mesh_proxy.exchange.exchange import Exchange
    from mesh_proxy.exchange.rescue import Rescue
    from mesh_proxy.tls.peer import Peer

HELD_BYTES = 1024 * 1024
WRITE_BYTES = 64 * 1024

log = logging.getLogger(__name__)


class AccessLog:
    """Gathers lines and writes them every second, or sooner when there are many. Raises FormatUnknown.

    A reader that is slow, or a disk that is full, delays no request: at most a megabyte is held, what does not fit is dropped
    and counted. A file that was moved away (rotated) is opened anew.
    """

    def __init__(self, spec: Spec, clock: Clock) -> None:
        self.spec, self.clock = spec, clock
        self.line = line_of(spec)
        self.written = 0
        self.dropped: Counter[str] = Counter()
        self._held: list[bytes] = []
        self._size = 0
        self._file = -1
        self._told = ""

    def __repr__(self) -> str:
        return f"<AccessLog {self.spec.path} {self.written} written, {len(self._held)} held, dropped {dict(self.dropped)}>"

    def follow(self, exchange: "Exchange") -> "LoggedClient":
        """Return what stands between an exchange that begins and its client, and sees what a line tells."""
        return LoggedClient(self, exchange)

    def put(self, line: bytes) -> None:
        """Take a line."""
        if self._size + len(line) > HELD_BYTES:
            self.dropped["full"] += 1
            return
        self._held.append(line)
        self._size += len(line)
        if self._size > WRITE_BYTES:
            self.write()

    def second(self) -> None:
        """A second has passed: see whether the file is still there, and write."""
        if self._file >= 0 and not self._is_in_place():
            self._let_go()
        if self._held:
            self.write()

    def write(self) -> None:
        """Write what is held, as far as it is taken without waiting."""
        try:
            if self._file < 0:
                self._file = os.open(self.spec.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o640)
            taken = os.write(self._file, whole := b"".join(self._held))
        except BlockingIOError:
            return
        except OSError as error:
            self._complain(error)
            return
        self._told = ""
        self.written += taken
        rest = whole[taken:]
        self._held, self._size = ([rest] if rest else []), len(rest)

    def close(self) -> None:
        """Write what is held and close the file; the next line opens it again."""
        if self._held:
            self.write()
        self._let_go()

    def _let_go(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _is_in_place(self) -> bool:
        try:
            there, ours = os.stat(self.spec.path), os.fstat(self._file)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _complain(self, error: OSError) -> None:
        """Say once why nothing is written."""
        self._let_go()
        if self._told != str(error):
            self._told = str(error)
            log.error("the access log %s cannot be written: %s; lines are held for now", self.spec.path, error.strerror)


class LoggedClient:
    """An exchange's client, seen through: everything passes, what a line tells is noted, and the end writes it."""

    def __init__(self, access_log: AccessLog, exchange: "Exchange") -> None:
        self._log, self._exchange, self._client = access_log, exchange, exchange.client
        self.started = access_log.clock.now()
        self.upstream_time: float | None = None
        self.upstream_host: str = ""
        self.sent: int = 0
        self._lines: list[bytes] = []

    @property
    def congested(self) -> bool:
        """See Client."""
        return self._client.congested

    @property
    def peer(self) -> "Peer | None":
        """See Client."""
        return self._client.peer

    @property
    def address(self) -> str:
        """See Client."""
        return self._client.address

    @property
    def protocol(self) -> str:
        """See Client."""
        return "HTTP/1.0" if self._exchange.head.http10 else self._client.protocol

    @property
    def caller(self) -> str:
        """Who the client is by its certificate."""
        return self._client.peer.identity if self._client.peer is not None else ""

    @property
    def status(self) -> int:
        """What the client was answered."""
        return self._exchange.status

    @property
    def flags(self) -> str:
        """Envoy's response flags."""
        return self._exchange.flags

    @property
    def duration(self) -> float:
        """How long it took until now; seconds."""
        return self._log.clock.monotonic() - self._exchange.started

    @property
    def attempts(self) -> int:
        """How often an endpoint was asked."""
        return self._exchange.attempts

    @property
    def upstream_cluster(self) -> str:
        """The virtual node that was called."""
        lane = self._exchange.lane
        return lane.target.name if lane is not None else ""

    @property
    def route(self) -> str:
        """The name of the route."""
        route = self._exchange.route
        return route.entry.name if route is not None else ""

    @property
    def trace_id(self) -> str:
        """The id of the trace, if there is one."""
        trace = self._exchange.trace
        return trace.trace_id.hex() if trace is not None else ""

    @property
    def received(self) -> int:
        """How many bytes the request's body has."""
        return self._exchange.body.received

    @property
    def grpc_status(self) -> int:
        """What the endpoint said to a gRPC client."""
        return self._exchange.grpc_status

    def invite(self) -> None:
        """See Client."""
        self._client.invite()

    def answer(self, status: int, lines: list[bytes], length: bytes | None, bodiless: bool) -> None:
        """See Client."""
        self._lines = lines if length is None else [*lines, b"content-length: %b\r\n" % length]
        exchange = self._exchange
        self.upstream_host = exchange.pool.address if exchange.pool is not None else ""
        self.upstream_time = self._log.clock.monotonic() - exchange.attempt_at
        self._client.answer(status, lines, length, bodiless)

    def answer_body(self, piece: bytes) -> None:
        """See Client."""
        self.sent += len(piece)
        self._client.answer_body(piece)

    def answer_end(self, trailers: tuple[bytes, ...]) -> None:
        """See Client."""
        self._client.answer_end(trailers)

    def reply(self, why: "Rescue") -> None:
        """See Client."""
        self.sent = len(why.text)
        self._client.reply(why)

    def flush(self) -> None:
        """See Client."""
        self._client.flush()

    def done(self) -> None:
        """See Client."""
        self._write()
        self._client.done()

    def abort(self) -> None:
        """See Client."""
        self._write()
        self._client.abort()

    def hold(self) -> None:
        """See Client."""
        self._client.hold()

    def resume(self) -> None:
        """See Client."""
        self._client.resume()

    def span_attributes(self, host: bytes) -> bytes:
        """See Client."""
        return self._client.span_attributes(host)

    def request_header(self, name: str) -> str | None:
        """Return a header, or one of ``:method :path :authority :scheme``, if there is one; the name is in lower case."""
        head = self._exchange.head
        special = {":method": head.method, ":path": head.path, ":authority": head.host, ":scheme": head.scheme}
        special |= {"traceparent": head.traceparent, "host": head.host}
        return special[name].decode("latin-1") or None if name in special else _header(head.lines, name)

    def response_header(self, name: str) -> str | None:
        """Return a header, if there is one; the name is in lower case."""
        return _header(self._lines, name)

    def _write(self) -> None:
        self._log.put(self._log.line(self))


def _header(lines: list[bytes], name: str) -> str | None:
    wanted = name.encode() + b":"
    size = len(wanted)
    return next((line[size:].strip().decode("latin-1") for line in lines if line[:size].lower() == wanted), None)
