"""What ours and nginx are told; ``proxy_envoy`` tells Envoy the same."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.proxy_load import HOST
from tests.fakes.certificates import Authority, Pair

BODY_BYTES = 1024
LARGE_BYTES = 16 * 1024 * 1024
PREFIXES = ("/orders", "/payments", "/users", "/")
SERVICES = ("shop.Orders", "shop.Payments", "shop.Users", "")
VERSIONS = {"v1": 90, "v2": 10}
"""Each route leads to both versions of its service, by weight."""
NODE = "bench"


@dataclass(frozen=True, slots=True)
class Features:
    """What a proxy does besides routing; each can be had without the others."""

    retries: bool = False
    outlier: bool = False
    spans: bool = False
    mtls: bool = False
    grpc: bool = False

    @property
    def hops(self) -> int:
        """How often a request passes the proxy: with mTLS it leaves by the egress and comes in again by the ingress."""
        return 2 if self.mtls else 1


BARE = Features()
TRACED = Features(retries=True, outlier=True, spans=True)
MTLS = replace(TRACED, mtls=True)
GRPC = replace(TRACED, grpc=True)
PEER = "spiffe://bench/proxy"
"""What the certificates of both ends bear."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a proxy listens, where it finds the others, and who it is."""

    listen: int
    ingress: int
    admin: int
    backend: int
    collector: int
    authority: Authority
    identity: Pair


def nginx_config(folder: Path, port: int, grpc_port: int) -> str:
    """Return a backend that answers with ``BODY_BYTES`` and keeps its connections; on the second port as gRPC does."""
    (folder / "reply").write_bytes(grpc_message(BODY_BYTES))
    with (folder / "large").open("wb") as large:
        large.truncate(LARGE_BYTES)
    folder.chmod(0o711)  # nginx's workers run as somebody else
    return f"""
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  default_type application/json;
  open_file_cache max=8;
  server {{
    listen 127.0.0.1:{port};
    location = /large {{ root {folder}; }}
    location / {{
      add_header cache-control "no-store";
      add_header x-served-by "backend";
      return 200 "{"x" * BODY_BYTES}";
    }}
  }}
  server {{
    listen 127.0.0.1:{grpc_port} http2;
    root {folder};
    error_page 405 =200 /reply;  # nginx gives files to GET only, unless they say what went wrong
    location / {{ return 405; }}
    location = /reply {{
      default_type application/grpc;
      add_trailer grpc-status 0;
    }}
  }}
}}
"""


def grpc_message(size: int) -> bytes:
    """Return a message as it stands in a gRPC body."""
    return b"\0" + size.to_bytes(4, "big") + b"x" * size


def mesh_file(features: Features, around: Surroundings) -> str:
    """Return the mesh that the companion proxy follows."""
    at = around.ingress if features.mtls else around.backend
    nodes = [_caller(features, around), *(_node(f"api-{version}", at, features, version) for version in VERSIONS)]
    service = {"virtualServiceName": HOST, "spec": {"provider": {"virtualRouter": {"virtualRouterName": "api"}}}}
    return json.dumps(
        {
            "mesh": {"meshName": "bench"},
            "virtualServices": [service],
            "virtualRouters": [{"virtualRouterName": "api", "routes": _routes(features)}],
            "virtualNodes": nodes,
        }
    )


def _routes(features: Features) -> list[dict[str, Any]]:
    targets = [{"virtualNode": f"api-{version}", "weight": weight} for version, weight in VERSIONS.items()]
    policy = {
        "maxRetries": 2 if features.retries else 0,
        "perRetryTimeout": {"unit": "s", "value": 5 if features.retries else 0},
        "httpRetryEvents": ["gateway-error"],
        "tcpRetryEvents": ["connection-error"],
    } | ({"grpcRetryEvents": ["unavailable"]} if features.grpc else {})
    http = {"action": {"weightedTargets": targets}, "retryPolicy": policy}
    if features.grpc:
        matches: list[dict[str, Any]] = [{"serviceName": service} if service else {} for service in SERVICES]
        kind = "grpcRoute"
    else:
        matches, kind = [{"prefix": prefix} for prefix in PREFIXES], "httpRoute"
    return [{"routeName": f"r{at}", "spec": {kind: {"match": match, **http}}} for at, match in enumerate(matches)]


def _caller(features: Features, around: Surroundings) -> dict[str, Any]:
    """Our own node: its application is the backend, which only mTLS calls through the ingress."""
    caller = _node(NODE, around.ingress, BARE)
    caller["spec"]["backends"] = [{"virtualService": {"virtualServiceName": HOST}}]
    listener = caller["spec"]["listeners"][0]
    listener["portMapping"]["port"] = around.backend
    if features.mtls:
        validation = around.authority.trust | {"subjectAlternativeNames": {"match": {"exact": [PEER]}}}
        tls = {"certificate": around.identity.file, "validation": validation}
        listener["tls"] = {"mode": "STRICT", **tls}
        caller["spec"]["backendDefaults"] = {"clientPolicy": {"tls": tls}}
    return caller


def _node(name: str, port: int, features: Features, version: str = "v0") -> dict[str, Any]:
    outlier = {
        "maxServerErrors": 5,
        "interval": {"unit": "s", "value": 10},
        "baseEjectionDuration": {"unit": "s", "value": 30},
        "maxEjectionPercent": 50,
    }
    listener: dict[str, Any] = {"portMapping": {"port": 8080, "protocol": "grpc" if features.grpc else "http"}}
    return {
        "virtualNodeName": name,
        "tags": [
            {"key": "meshscope/service", "value": name.partition("-")[0]},
            {"key": "meshscope/version", "value": version},
        ],
        "spec": {
            "listeners": [listener | ({"outlierDetection": outlier} if features.outlier else {})],
            "serviceDiscovery": {"static": {"endpoints": [f"127.0.0.1:{port}"]}},
        },
    }
