"""Running the companion proxy as a process: signals in, exit 0 out."""

import asyncio
import contextlib
import logging
import signal

import uvloop

from core.faults import Fault
from mesh_proxy.admin.pages import serve_admin
from mesh_proxy.proxy import Proxy
from mesh_proxy.settings import ProxySettings

__all__ = ["ProxySettings", "run", "serve"]
log = logging.getLogger(__name__)


def run(settings: ProxySettings) -> None:
    """Run until SIGTERM or SIGINT, then drain and return; SIGHUP reloads the mesh file. SIGUSR1 drains gently: another process
    listens at the same sockets already.

    Raises a Fault (MeshFileError for a wrong mesh file) before anything listens, OSError when a port is taken.
    """
    uvloop.run(serve(settings))


async def serve(settings: ProxySettings) -> None:
    """Serve on the running event loop; what ``run`` does."""
    proxy = Proxy(settings)
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[bool] = loop.create_future()

    def stop(gently: bool) -> None:
        if not stopping.done():
            stopping.set_result(gently)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        loop.add_signal_handler(number, stop, number == signal.SIGUSR1)
    loop.add_signal_handler(signal.SIGHUP, _reload, proxy)
    await proxy.start()
    admin = await serve_admin(proxy, settings.host, settings.admin_port, given=dict(settings.sockets).get("admin"))
    gently = await stopping
    log.info("draining%s", " gently" if gently else "")
    await proxy.stop(gently=gently)
    admin.close()


def _reload(proxy: Proxy) -> None:
    with contextlib.suppress(Fault):  # told in the log and as an event
        proxy.reload()
