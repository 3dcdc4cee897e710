"""Two companion proxies with TLS between them, and TLS peers that are not ours."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh_proxy.proxy import Proxy
from tests.fakes import proxies
from tests.fakes.certificates import Authority, Pair

WEB, API = "spiffe://shop/web", "spiffe://shop/api"


def listener(pair: Pair, mode: str = "STRICT", *, trust: Authority | None = None, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """A listener's ``tls``."""
    return {"mode": mode, "certificate": pair.file} | ({"validation": _validation(trust, names)} if trust else {})


def policy(trust: Authority, pair: Pair | None = None, *, names: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A client policy's ``tls``."""
    return {"validation": _validation(trust, names)} | ({"certificate": pair.file} if pair else {}) | more


def calling(
    address: str, client: dict[str, Any] | None, *, port: int = 1, http: dict[str, Any] | None = None, **more: Any
) -> str:
    """A mesh in which ``web`` calls ``api`` at ``address`` with this client policy; ``more`` is of api's listener."""
    whole = json.loads(proxies.only(address, http=http, port=port, **more))
    if client is not None:
        whole["virtualNodes"][0]["spec"]["backendDefaults"] = {"clientPolicy": {"tls": client}}
    return json.dumps(whole, indent=1)


@dataclass(frozen=True)
class Two:
    """The callers' proxy and the proxy that is called."""

    web: Proxy
    api: Proxy


@asynccontextmanager
async def two(
    tmp_path: Path,
    app_port: int,
    server: dict[str, Any] | None,
    client: dict[str, Any] | None,
    *,
    otlp: str | None = None,
    protocol: str = "http",
) -> AsyncIterator[Two]:
    """Run both; the application of ``api`` listens on ``app_port`` and speaks ``protocol``."""
    more: dict[str, Any] = {"portMapping": {"port": app_port, "protocol": protocol}} | ({"tls": server} if server else {})
    async with proxies.proxy(calling("127.0.0.1:1", None, port=app_port, **more), tmp_path, beside="api", otlp=otlp) as api:
        there = f"127.0.0.1:{api.ingress_port}"
        async with proxies.proxy(calling(there, client, port=app_port, **more), tmp_path, otlp=otlp) as web:
            yield Two(web, api)


def server_context(pair: Pair) -> ssl.SSLContext:
    """A server that is not ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.chain, pair.key)
    return context


def client_context(trust: Authority, pair: Pair | None = None, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A client that is not ours."""
    context = ssl.create_default_context(cafile=str(trust.path))
    context.check_hostname = False
    if pair is not None:
        context.load_cert_chain(pair.chain, pair.key)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


async def ask(port: int, context: ssl.SSLContext | None, raw: bytes = b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\n") -> bytes:
    """Return the first bytes of the answer; nothing when there was none."""
    writer = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(raw)
        return await reader.read(65_536)
    except OSError:
        return b""
    finally:
        if writer is not None:
            writer.transport.abort()


def _validation(trust: Authority, names: tuple[str, ...]) -> dict[str, Any]:
    return trust.trust | ({"subjectAlternativeNames": {"match": {"exact": list(names)}}} if names else {})
