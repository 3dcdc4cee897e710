"""Connections that iptables led here (REDIRECT): the kernel knows where they were going."""

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any, cast

from mesh_proxy.downstream.http1 import Downstream
from mesh_proxy.downstream.tunnel import End, Tunnel
from mesh_proxy.http.request import RequestHead

if TYPE_CHECKING:
    from mesh_proxy.side import Side

SO_ORIGINAL_DST = 80
_SOCKADDR = struct.Struct("!2xH4s8x")


def original_destination(connection: Any) -> tuple[str, int] | None:
    """Return address and port that an accepted socket was meant for (IPv4); None: it was meant for us, or nobody can tell."""
    if connection.family != socket.AF_INET:
        return None
    try:
        told = connection.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, _SOCKADDR.size)
        port, address = _SOCKADDR.unpack(told)
    except (OSError, struct.error):  # the connection is not tracked
        return None
    there = (socket.inet_ntoa(address), port)
    return None if there == connection.getsockname() else there


class Egress(asyncio.Protocol):
    """Decides what becomes of a connection of the application, before its first byte.

    Made to this proxy: HTTP. Redirected from a port of the mesh that speaks tcp: that service's tcp routes. From one that
    speaks HTTP: HTTP, routed by its Host. From another: straight on if the egress filter allows the address; else HTTP,
    which finds its route by the Host or none.
    """

    def __init__(self, side: "Side") -> None:
        self._side = side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Decide."""
        where = original_destination(transport.get_extra_info("socket"))
        tunnel = self._tunnel(*where) if where is not None else None
        if tunnel is None:
            chosen: asyncio.Protocol = Downstream(self._side, port=where[1] if where is not None else 0)
        else:
            chosen = End(tunnel)
        cast("asyncio.Transport", transport).set_protocol(chosen)
        chosen.connection_made(transport)
        if tunnel is not None and isinstance(chosen, End):
            tunnel.begin(chosen)

    def _tunnel(self, address: str, port: int) -> Tunnel | None:
        side = self._side
        service = side.routes.ports.get(port)
        if service == "":
            return None
        head = RequestHead(b"CONNECT", b"/", f"{service or address}:{port}".encode(), [], port=port)
        known = service is not None or side.beyond_the_mesh(head) is not None
        return Tunnel(side, head, answers=False) if known else None
