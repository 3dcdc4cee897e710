"""Finding the addresses of targets that are known by a host name."""

import asyncio
import logging
import socket
from collections.abc import Iterable

from core.clock import Clock
from mesh_model.endpoints import Dns
from mesh_proxy.outlier import Place
from mesh_proxy.target import LiveTarget

REFRESH_S = 5.0
log = logging.getLogger(__name__)


async def keep_resolved(targets: Iterable[LiveTarget], clock: Clock) -> None:
    """Keep the addresses of ENDPOINTS targets fresh; what does not resolve keeps the addresses it had. Never returns."""
    while True:
        for target in targets:
            discovery = target.spec.discovery
            if isinstance(discovery, Dns) and discovery.response == "ENDPOINTS":
                await resolve(target, discovery.hostname, clock)
        await clock.sleep(REFRESH_S)


async def resolve(target: LiveTarget, hostname: str, clock: Clock) -> None:
    """Give the target every address that ``hostname`` has now."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(hostname, target.spec.port, type=socket.SOCK_STREAM)
    except OSError as error:
        log.warning("%s does not resolve: %s", hostname, error)
        return
    addresses = sorted({f"{address[4][0]}:{target.spec.port}" for address in found})
    if addresses != list(target.pools):
        target.replace([Place(address) for address in addresses], clock.monotonic())


def begin(target: LiveTarget) -> None:
    """Give a LOADBALANCER target its one address, which is resolved whenever a connection is opened."""
    discovery = target.spec.discovery
    if isinstance(discovery, Dns) and discovery.response == "LOADBALANCER":
        target.replace([Place(f"{discovery.hostname}:{target.spec.port}")], 0.0)
