"""HTTP servers inside our own lifecycle: we bind, we stop, and signals are ours."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core.faults import Fault

CONNECTIONS = 1024
"""How many connections a server has at once; who comes later is answered 503 and may try again."""

HEAD_S = 30.0
"""How long a client may take for the head of a request."""

KEEP_ALIVE_S = 75
"""How long a connection may idle: longer than exporters wait between two exports."""


class PortTaken(Fault):
    """Somebody else listens where we should."""

    code = "port_taken"


class NotStarted(Fault):
    """An application failed while it started; the log says how."""

    code = "not_started"


class HttpServer:
    """An ASGI application on a TCP port."""

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        *,
        name: str,
        lifespan: bool,
        connections: int = CONNECTIONS,
        head_s: float = HEAD_S,
    ) -> None:
        self._name, self._socket = name, bind(host, port, name)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                app,
                http=type("Http", (_Http,), {"head_s": head_s}),
                log_level="warning",
                access_log=False,
                lifespan="on" if lifespan else "off",
                ws="websockets-sansio",
                proxy_headers=False,
                limit_concurrency=connections + 1,  # uvicorn refuses the one that reaches the limit
                timeout_keep_alive=KEEP_ALIVE_S,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve; return when requests are answered, or raise NotStarted."""
        self._serving = asyncio.create_task(self._serve())
        while not self._server.started:
            if self._serving.done():
                return self._serving.result()
            await asyncio.sleep(0.01)  # noqa: TID251 - uvicorn offers nothing to wait for
        return None

    async def stop(self, grace_s: float) -> None:
        """Take no new requests; give those under way ``grace_s`` to end."""
        self._server.should_exit = True
        if self._serving and not self._serving.done():
            done, _ = await asyncio.wait([self._serving], timeout=grace_s)
            if not done:
                self._server.force_exit = True
                await self._serving
        self._socket.close()

    async def _serve(self) -> None:
        try:
            await self._server.serve([self._socket])
        except SystemExit:  # how uvicorn says that the application did not start
            raise NotStarted(f"what should answer at {self._name} failed while it started; the lines above say how.") from None


def bind(host: str, port: int, name: str) -> socket.socket:
    """Return a listening socket; raise PortTaken with the option that chooses another port."""
    name_or_number = host.strip("[]")
    family = socket.AF_INET6 if ":" in name_or_number else socket.AF_INET
    try:
        return socket.create_server((name_or_number, port), family=family, backlog=1024)
    except OSError as error:
        raise PortTaken(
            f"cannot listen on {address(host, port)} for {name}: {_reason(error)}; choose another with --{name}-port."
        ) from None


def _reason(error: OSError) -> str:
    # Failed look-ups of names have numbers of their own.
    return str(error.strerror) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)


def address(host: str, port: int) -> str:
    """Return host and port as one writes them: an IPv6 address stands in brackets."""
    bare = host.strip("[]")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


class _Http(HttpToolsProtocol):
    """Closes a connection whose request does not begin, or does not get through its head, in time; uvicorn never does."""

    head_s = HEAD_S
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        self._wait_no_more()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.parser.should_upgrade() or self.cycle.body or self.cycle.response_complete:
            super().on_body(body)
        else:  # uvicorn would copy it into a buffer, and from there into what it hands on
            self.cycle.body = body  # type: ignore[assignment]
            self.cycle.message_event.set()

    def _wait(self) -> None:
        self._wait_no_more()
        self._waiting = self.loop.call_later(self.head_s, self.transport.close)

    def _wait_no_more(self) -> None:
        if self._waiting:
            self._waiting.cancel()


class _Server(uvicorn.Server):
    """Leaves signals alone: uvicorn would raise them again after its own shutdown, and nothing after it would run."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
