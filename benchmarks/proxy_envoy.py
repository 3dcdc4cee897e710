"""What Envoy is told, so that it does the same for the same requests as ours."""

import json
from typing import Any

from benchmarks.proxy_load import HOST
from benchmarks.proxy_setup import BARE, NODE, PEER, PREFIXES, SERVICES, VERSIONS, Features, Surroundings
from tests.fakes.envoys import client_tls, server_tls


def envoy_config(features: Features, around: Surroundings) -> str:
    """Return what Envoy is started with: the same routes, weights, retries, time limits and outlier detection."""
    at = around.ingress if features.mtls else around.backend
    tls = (around.authority, around.identity, PEER)
    clusters = [_cluster(f"api-{version}", at, features) for version in VERSIONS]
    hosts = [{"name": "api", "domains": [HOST, f"{HOST}:*"], "routes": _routes(features)}]
    listeners = [_listener("egress", around.listen, hosts, features, around)]
    if features.mtls:
        for cluster in clusters:
            cluster |= _up_to_1_3(client_tls(*tls))
        inside = [{"match": {"prefix": "/"}, "route": {"cluster": "application", "timeout": "15s", "idle_timeout": "300s"}}]
        hosts = [{"name": "application", "domains": ["*"], "routes": inside}]
        ingress = _listener("ingress", around.ingress, hosts, features, around)
        ingress["filter_chains"][0] |= server_tls(*tls)
        listeners.append(ingress)
        clusters.append(_cluster("application", around.backend, BARE))
    clusters.append(_cluster("collector", around.collector, BARE))
    return json.dumps(
        {
            "node": {"id": NODE, "cluster": NODE},
            "admin": {"address": _address(around.admin)},
            "static_resources": {"listeners": listeners, "clusters": clusters},
            "layered_runtime": {"layers": [{"name": "bench", "static_layer": _RUNTIME}]},
        }
    )


def _listener(name: str, port: int, hosts: list[dict[str, Any]], features: Features, around: Surroundings) -> dict[str, Any]:
    manager = {
        "@type": _type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": name,
        "generate_request_id": features.spans,
        "normalize_path": True,
        "merge_slashes": True,
        "route_config": {"virtual_hosts": hosts},
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": _type("filters.http.router.v3.Router")}}
        ],
    } | ({"tracing": _tracing(around)} if features.spans else {})
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": name, "address": _address(port), "filter_chains": [{"filters": filters}]}


def _up_to_1_3(socket: dict[str, Any]) -> dict[str, Any]:
    """As a client Envoy speaks TLS 1.2 unless it is told otherwise; ours speaks 1.3."""
    context = socket["transport_socket"]["typed_config"]["common_tls_context"]
    context["tls_params"] = {"tls_maximum_protocol_version": "TLSv1_3"}
    return socket


_RUNTIME = {
    "tracing.opentelemetry.min_flush_spans": 1000,
    "tracing.opentelemetry.max_cache_size": 10_000,
    "tracing.opentelemetry.flush_interval_ms": 500,
}
"""Envoy would send a request to the collector for every five spans, which costs it more; this is how ours does it."""


def _routes(features: Features) -> list[dict[str, Any]]:
    policy = {
        "retry_on": "unavailable,connect-failure" if features.grpc else "gateway-error,connect-failure",
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
    prefixes = [f"/{service}/" if service else "/" for service in SERVICES] if features.grpc else PREFIXES
    return [{"match": {"prefix": prefix}, "route": action} for prefix in prefixes]


def _tracing(around: Surroundings) -> dict[str, Any]:
    uri = {"uri": f"http://127.0.0.1:{around.collector}/v1/traces", "cluster": "collector", "timeout": "10s"}
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
    if features.grpc:
        cluster["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _type("upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        }
    return cluster


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _type(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{name}"
