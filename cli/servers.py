"""HTTP servers inside our own lifecycle: we bind, we stop, and signals are ours."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from core.faults import Fault


class PortTaken(Fault):
    """Somebody else listens where we should."""

    code = "port_taken"


class HttpServer:
    """An ASGI application on a TCP port."""

    def __init__(self, app: Any, host: str, port: int, *, name: str, lifespan: bool) -> None:
        self._socket = bind(host, port, name)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                app, log_level="warning", access_log=False, lifespan="on" if lifespan else "off", ws="websockets-sansio"
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve; return when requests are answered."""
        self._serving = asyncio.create_task(self._server.serve([self._socket]))
        while not self._server.started:
            if self._serving.done():
                return self._serving.result()
            await asyncio.sleep(0.01)  # noqa: TID251 - uvicorn offers nothing to wait for
        return None

    async def stop(self, grace_s: float) -> None:
        """Take no new requests; give those under way ``grace_s`` to end."""
        self._server.should_exit = True
        if self._serving:
            done, _ = await asyncio.wait([self._serving], timeout=grace_s)
            if not done:
                self._server.force_exit = True
                await self._serving


def bind(host: str, port: int, name: str) -> socket.socket:
    """Return a listening socket; raise PortTaken with the option that chooses another port."""
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise PortTaken(
            f"cannot listen on {host}:{port} for {name}: {os.strerror(error.errno or 0)}; choose another with --{name}-port."
        ) from None


class _Server(uvicorn.Server):
    """Leaves signals alone: uvicorn would raise them again after its own shutdown, and nothing after it would run."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
