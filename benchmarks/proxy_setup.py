"""What Envoy, ours and nginx are told, so that both proxies do the same for the same requests."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.proxy_load import HOST

BODY_BYTES = 1024
PREFIXES = ("/orders", "/payments", "/users", "/")
VERSIONS = {"v1": 90, "v2": 10}
"""Each route leads to both versions of its service, by weight."""
NODE = "bench"


@dataclass(frozen=True, slots=True)
class Features:
    """What a proxy does besides routing; each can be had without the others."""

    retries: bool = False
    outlier: bool = False
    spans: bool = False


BARE = Features()
TRACED = Features(retries=True, outlier=True, spans=True)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a proxy listens, and where it finds the others."""

    listen: int
    admin: int
    backend: int
    collector: int


def nginx_config(folder: Path, port: int) -> str:
    """Return a backend that answers every request with ``BODY_BYTES`` and keeps its connections."""
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
  server {{
    listen 127.0.0.1:{port};
    location / {{
      add_header cache-control "no-store";
      add_header x-served-by "backend";
      return 200 "{"x" * BODY_BYTES}";
    }}
  }}
}}
"""


def mesh_file(features: Features, ports: Ports) -> str:
    """Return the mesh that the companion proxy follows."""
    routes = [_route(prefix, features) for prefix in PREFIXES]
    caller = _node(NODE, "127.0.0.1:1")
    caller["spec"]["backends"] = [{"virtualService": {"virtualServiceName": HOST}}]
    nodes = [caller, *(_node(f"api-{version}", f"127.0.0.1:{ports.backend}", version, features) for version in VERSIONS)]
    service = {"virtualServiceName": HOST, "spec": {"provider": {"virtualRouter": {"virtualRouterName": "api"}}}}
    return json.dumps(
        {
            "mesh": {"meshName": "bench"},
            "virtualServices": [service],
            "virtualRouters": [{"virtualRouterName": "api", "routes": routes}],
            "virtualNodes": nodes,
        }
    )


def _route(prefix: str, features: Features) -> dict[str, Any]:
    targets = [{"virtualNode": f"api-{version}", "weight": weight} for version, weight in VERSIONS.items()]
    policy = {
        "maxRetries": 2 if features.retries else 0,
        "perRetryTimeout": {"unit": "s", "value": 5 if features.retries else 0},
        "httpRetryEvents": ["gateway-error"],
        "tcpRetryEvents": ["connection-error"],
    }
    http = {"match": {"prefix": prefix}, "action": {"weightedTargets": targets}, "retryPolicy": policy}
    return {"routeName": prefix.strip("/") or "rest", "spec": {"httpRoute": http}}


def _node(name: str, address: str, version: str = "v0", features: Features = BARE) -> dict[str, Any]:
    outlier = {
        "maxServerErrors": 5,
        "interval": {"unit": "s", "value": 10},
        "baseEjectionDuration": {"unit": "s", "value": 30},
        "maxEjectionPercent": 50,
    }
    listener: dict[str, Any] = {"portMapping": {"port": 8080, "protocol": "http"}}
    return {
        "virtualNodeName": name,
        "tags": [
            {"key": "meshscope/service", "value": name.partition("-")[0]},
            {"key": "meshscope/version", "value": version},
        ],
        "spec": {
            "listeners": [listener | ({"outlierDetection": outlier} if features.outlier else {})],
            "serviceDiscovery": {"static": {"endpoints": [address]}},
        },
    }


def envoy_config(features: Features, ports: Ports) -> str:
    """Return what Envoy is started with: the same routes, weights, retries, time limits and outlier detection."""
    manager = {
        "@type": _type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "egress",
        "generate_request_id": features.spans,
        "normalize_path": True,
        "merge_slashes": True,
        "route_config": {"virtual_hosts": [{"name": "api", "domains": [HOST, f"{HOST}:*"], "routes": _envoy_routes(features)}]},
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": _type("filters.http.router.v3.Router")}}
        ],
    } | ({"tracing": _envoy_tracing(ports)} if features.spans else {})
    listener = {
        "name": "egress",
        "address": _address(ports.listen),
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }
    clusters = [
        *(_cluster(f"api-{version}", ports.backend, features) for version in VERSIONS),
        _cluster("collector", ports.collector, BARE),
    ]
    return json.dumps(
        {
            "node": {"id": NODE, "cluster": NODE},
            "admin": {"address": _address(ports.admin)},
            "static_resources": {"listeners": [listener], "clusters": clusters},
            "layered_runtime": {"layers": [{"name": "bench", "static_layer": _RUNTIME}]},
        }
    )


_RUNTIME = {
    "tracing.opentelemetry.min_flush_spans": 1000,
    "tracing.opentelemetry.max_cache_size": 10_000,
    "tracing.opentelemetry.flush_interval_ms": 500,
}
"""Envoy would send a request to the collector for every five spans, which costs it more; this is how ours does it."""


def _envoy_routes(features: Features) -> list[dict[str, Any]]:
    policy = {
        "retry_on": "gateway-error,connect-failure",
        "num_retries": 2,
        "per_try_timeout": "5s",
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": _type("retry.host.previous_hosts.v3.PreviousHostsPredicate")},
            }
        ],
        "host_selection_retry_max_attempts": 5,
    }
    clusters = [{"name": f"api-{version}", "weight": weight} for version, weight in VERSIONS.items()]
    action = {"weighted_clusters": {"clusters": clusters}, "timeout": "15s", "idle_timeout": "300s"}
    action |= {"retry_policy": policy} if features.retries else {}
    return [{"match": {"prefix": prefix}, "route": action} for prefix in PREFIXES]


def _envoy_tracing(ports: Ports) -> dict[str, Any]:
    uri = {"uri": f"http://127.0.0.1:{ports.collector}/v1/traces", "cluster": "collector", "timeout": "10s"}
    tracer = {
        "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
        "service_name": "envoy",
        "http_service": {"http_uri": uri},
    }
    return {
        "spawn_upstream_span": True,
        "random_sampling": {"value": 100},
        "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": tracer},
    }


def _cluster(name: str, port: int, features: Features) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(port)}}
    cluster: dict[str, Any] = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    threshold: dict[str, Any] = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 2**31 - 1)
    if features.retries:
        threshold["retry_budget"] = {"budget_percent": {"value": 20}, "min_retry_concurrency": 3}
    cluster["circuit_breakers"] = {"thresholds": [threshold]}
    if features.outlier:
        cluster["outlier_detection"] = {
            "consecutive_5xx": 5,
            "interval": "10s",
            "base_ejection_time": "30s",
            "max_ejection_percent": 50,
            "enforcing_success_rate": 0,
        }
    return cluster


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _type(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{name}"
