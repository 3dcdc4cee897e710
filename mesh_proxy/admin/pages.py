"""The proxy's admin port: is it ready, what has it seen, what does it follow, and follow it anew."""

import asyncio
import json
import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import cast

import httptools

from core.faults import Fault
from mesh_proxy.access.guard import Guard
from mesh_proxy.admin import prometheus
from mesh_proxy.http.wire import status_line
from mesh_proxy.proxy import Proxy
from mesh_proxy.side import Side
from mesh_proxy.targets.target import LiveTarget
from mesh_proxy.telemetry.access_log import AccessLog
from mesh_proxy.telemetry.outbox import Outbox
from mesh_proxy.tls.context import LiveContext
from mesh_proxy.tls.ends import ClientEnd, ServerEnd

Page = Callable[[Proxy], tuple[int, object]]
LARGEST_REQUEST = 16_384
LEVELS = ("debug", "info", "warning", "error")
log = logging.getLogger(__name__)


def ready(proxy: Proxy) -> tuple[int, object]:
    """Say whether the proxy takes requests."""
    return (503, {"state": "draining"}) if proxy.draining else (200, {"state": "ready"})


def stats(proxy: Proxy) -> tuple[int, object]:
    """Return the counters since the start, and the sizes of now."""
    table = proxy.live.table
    return 200, {
        "mesh": table.mesh,
        "virtual_node": table.virtual_node,
        "service": table.service,
        "version": table.version,
        "instance": proxy.settings.instance_id,
        "inbound": _side(proxy.ingress) | _tls(proxy.doors["ingress"].tls) | _guard(proxy.ingress.guard),
        "further": {str(port): _side(side) | _tls(proxy.doors[f"ingress {port}"].tls) for port, side in proxy.further.items()},
        "outbound": _side(proxy.egress),
        "targets": {target.name: _target(target) for target in (*proxy.live.targets, *proxy.beyond.targets)},
        "limits": {name or "door": effects.counts for name, effects in proxy.live.effects.items() if effects.counts},
        "spans": _outbox(proxy.telemetry.spans),
        "events": _outbox(proxy.telemetry.events),
        "certificates": [_certificate(context) for context in proxy.keyring.contexts],
        "access_log": _access_log(proxy.ingress.access_log),
        "config": {"accepted": proxy.accepted, "rejected": proxy.rejected},
    }


def config(proxy: Proxy) -> tuple[int, object]:
    """Return the route table that is followed."""
    return 200, asdict(proxy.live.table)


def clusters(proxy: Proxy) -> tuple[int, object]:
    """Return the targets with their endpoints."""
    return 200, {target.name: _target(target) for target in (*proxy.live.targets, *proxy.beyond.targets)}


def reload(proxy: Proxy) -> tuple[int, object]:
    """Follow the mesh file as it is now; tell every problem when it cannot be followed."""
    try:
        proxy.reload()
    except Fault as fault:
        return 400, {"accepted": False, "code": fault.code, "problems": str(fault).splitlines()}
    return 200, {"accepted": True}


def level(_: Proxy) -> tuple[int, object]:
    """Say from which level on is logged."""
    return 200, {"level": logging.getLevelName(logging.getLogger().level).lower()}


def _set_level(name: str) -> Page:
    def page(proxy: Proxy) -> tuple[int, object]:
        logging.getLogger().setLevel(name.upper())
        return level(proxy)

    return page


PAGES: dict[tuple[bytes, bytes], Page] = {
    (b"GET", b"/ready"): ready,
    (b"GET", b"/stats"): stats,
    (b"GET", b"/config"): config,
    (b"GET", b"/config_dump"): config,  # as Envoy calls it
    (b"GET", b"/logging"): level,
    **{(b"POST", f"/logging/{name}".encode()): _set_level(name) for name in LEVELS},
    (b"GET", b"/clusters"): clusters,
    (b"GET", b"/metrics"): lambda proxy: (200, prometheus.text(proxy)),
    (b"POST", b"/reload"): reload,
}


class Admin(asyncio.Protocol):
    """Answers one request per connection, in JSON or as text that is ready."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses

    def data_received(self, data: bytes) -> None:
        """Parse, within bounds."""
        self._size += len(data)
        try:
            if self._size > LARGEST_REQUEST:
                raise httptools.HttpParserError("too large")
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if error.__context__ is not None:
                log.error("an admin page failed", exc_info=error.__context__)
            self._answer(400 if error.__context__ is None else 500, {"error": "Bad Request"})

    def on_url(self, url: bytes) -> None:
        """Take the target."""
        self._url += url

    def on_message_complete(self) -> None:
        """Answer."""
        path = self._url.partition(b"?")[0]
        page = PAGES.get((self._parser.get_method(), path))
        if page is not None:
            self._answer(*page(self._proxy))
        elif any(path == known for _, known in PAGES):
            self._answer(405, {"error": "another method is needed"})
        else:
            self._answer(404, {"pages": sorted({known.decode() for _, known in PAGES})})

    def _answer(self, status: int, content: object) -> None:
        if self._transport.is_closing():
            return
        if isinstance(content, bytes):
            body, kind = content, prometheus.CONTENT_TYPE
        else:
            body, kind = json.dumps(content, default=_plain, indent=2).encode() + b"\n", b"application/json"
        head = b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (kind, len(body))
        self._transport.write(status_line(status) + head + body)
        self._transport.close()


async def serve_admin(proxy: Proxy, host: str, port: int, *, given: int | None = None) -> asyncio.Server:
    """Listen for admin requests; port 0 chooses a free one. ``given``: the descriptor of a Unix socket to listen at instead."""
    loop = asyncio.get_running_loop()
    if given is not None:
        return await loop.create_unix_server(lambda: Admin(proxy), sock=socket.socket(fileno=given))
    server = await loop.create_server(lambda: Admin(proxy), host, port)
    log.info("admin listens on %s:%d", host, server.sockets[0].getsockname()[1])
    return server


def _plain(value: object) -> object:
    """Return what JSON can say of a value of the route table that it has no word for."""
    return dict(value) if isinstance(value, Mapping) else sorted(cast("frozenset[str]", value))


def _side(side: Side) -> dict[str, object]:
    counts = side.counts
    return {
        "requests": counts.requests,
        "in_flight": side.in_flight,
        "connections": len(side.connections),
        "statuses": {f"{hundreds}xx" if hundreds else "none": count for hundreds, count in enumerate(counts.statuses) if count},
        "response_flags": dict(counts.flags),
        "attempts": counts.attempts,
        "retries": counts.retries,
        "refused": dict(counts.refused),
        "mirrored": dict(counts.mirrored),
    }


def _target(target: LiveTarget) -> dict[str, object]:
    return {
        "service": target.spec.service,
        "version": target.spec.version,
        "circuit": target.state.value,
        "active": target.active,
        "active_retries": target.active_retries,
        "ejections": target.circuit.ejections,
        "refused_ejections": target.circuit.refused_ejections,
        "panic": target.circuit.panicking,
        "overflows": target.overflows,
        "health_checks": {"done": target.health.checks, "failed": target.health.failures} if target.health else None,
        **_tls(target.tls),
        "endpoints": [
            {
                "address": endpoint.address,
                "zone": endpoint.zone,
                "weight": endpoint.weight,
                "healthy": endpoint.healthy,
                "ejected": endpoint.ejected_at is not None,
                "failures": endpoint.failures,
                "multiplier": endpoint.multiplier,
                "connections": target.pools[endpoint.address].open,
                "idle": len(target.pools[endpoint.address].idle),
                "waiting": target.pools[endpoint.address].waiting,
            }
            for endpoint in target.circuit.endpoints
        ],
    }


def _tls(end: ServerEnd | ClientEnd | None) -> dict[str, object]:
    if end is None:
        return {}
    refused = {"refused": dict(end.refused)} if isinstance(end, ClientEnd) else {}
    return {"tls": {"handshakes": end.handshakes, "resumed": end.resumed, **refused}}


def _guard(guard: Guard | None) -> dict[str, object]:
    return {"denied": dict(guard.denied)} if guard is not None else {}


def _certificate(context: LiveContext) -> dict[str, object]:
    shown = {"identity": context.own.identity, "expires_at": context.own.expires_at} if context.own is not None else {}
    return {"name": context.name, **shown, "rotations": context.rotations, "rejections": context.rejections}


def _outbox(outbox: Outbox) -> dict[str, object]:
    return {"created": outbox.created, "exported": outbox.exported, "held": len(outbox), "dropped": dict(outbox.dropped)}


def _access_log(access_log: AccessLog | None) -> dict[str, object] | None:
    if access_log is None:
        return None
    return {"path": access_log.spec.path, "bytes_written": access_log.written, "dropped": dict(access_log.dropped)}
