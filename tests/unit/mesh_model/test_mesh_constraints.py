"""Everything that App Mesh's resources may say is read, and what they may not say is refused, with its line."""

import pytest

from mesh_model.endpoints import CloudMap, Dns, FileEndpoints, StaticEndpoint, StaticEndpoints
from mesh_model.matches import HeaderMatch, HostMatch, Match, PathMatch, QueryMatch
from mesh_model.meshfile import MeshFileError, load_mesh
from mesh_model.resources import (
    AccessLog,
    ConnectionPool,
    GatewayRoute,
    HealthCheck,
    PortMapping,
    RetryPolicy,
    Rewrite,
    Timeout,
    WeightedTarget,
)
from mesh_model.tls import FileTrust

FULL = """\
mesh: {meshName: full, spec: {egressFilter: {type: ALLOW_ALL}, serviceDiscovery: {ipPreference: IPv6_PREFERRED}}}
virtualServices:
  - virtualServiceName: svc.local
    spec: {provider: {virtualRouter: {virtualRouterName: router}}}
  - virtualServiceName: nobody.local
    spec: {}
virtualRouters:
  - virtualRouterName: router
    spec:
      listeners:
        - portMapping: {port: 80, protocol: http}
        - portMapping: {port: 81, protocol: grpc}
    routes:
      - routeName: http
        tags: [{key: meshscope/mirror, value: static}]
        spec:
          priority: 0
          httpRoute:
            match:
              path: {regex: "/a/[0-9]+"}
              method: POST
              port: 80
              headers:
                - {name: h1}
                - {name: h2, invert: true, match: {prefix: p}}
                - {name: h3, match: {range: {start: -1, end: 10}}}
              queryParameters: [{name: q1}, {name: q2, match: {exact: v}}]
            action: {weightedTargets: [{virtualNode: static, weight: 0}, {virtualNode: dns, weight: 100, port: 82}]}
            retryPolicy: {maxRetries: 0, perRetryTimeout: {unit: ms, value: 0}, tcpRetryEvents: [connection-error]}
            timeout: {idle: {unit: s, value: 0}}
      - routeName: http2
        spec:
          http2Route:
            match: {prefix: /b, scheme: https}
            action: {weightedTargets: [{virtualNode: static, weight: 1}]}
      - routeName: grpc
        spec:
          grpcRoute:
            match: {serviceName: a.B, methodName: Cee, metadata: [{name: m, match: {suffix: s}}]}
            action: {weightedTargets: [{virtualNode: static, weight: 1}]}
            retryPolicy:
              maxRetries: 3
              perRetryTimeout: {unit: s, value: 1}
              grpcRetryEvents: [cancelled, deadline-exceeded, internal, resource-exhausted, unavailable]
              httpRetryEvents: [gateway-error]
      - routeName: tcp
        spec:
          tcpRoute:
            match: {port: 99}
            action: {weightedTargets: [{virtualNode: static, weight: 1}]}
            timeout: {idle: {unit: s, value: 7}}
virtualNodes:
  - virtualNodeName: static
    spec:
      listeners:
        - portMapping: {port: 80, protocol: http}
          healthCheck: {protocol: http, path: /up, port: 8080,
            healthyThreshold: 2, unhealthyThreshold: 10, intervalMillis: 5000, timeoutMillis: 2000}
          connectionPool: {http: {maxConnections: 1, maxPendingRequests: 2}}
        - portMapping: {port: 81, protocol: http2}
          connectionPool: {http2: {maxRequests: 3}}
          timeout: {http2: {perRequest: {unit: s, value: 20}}}
        - portMapping: {port: 82, protocol: grpc}
          connectionPool: {grpc: {maxRequests: 4}}
        - portMapping: {port: 83, protocol: tcp}
          connectionPool: {tcp: {maxConnections: 5}}
          timeout: {tcp: {idle: {unit: s, value: 8}}}
      serviceDiscovery: {static: {endpoints: ["127.0.0.1:9", {address: "127.0.0.1:10", zone: z, port: 81}]}}
      backendDefaults: {clientPolicy: {tls: {validation: {trust: {file: {certificateChain: /ca}}}}}}
      logging: {accessLog: {file: {path: /log, format: {json: [{key: code, value: "%RESPONSE_CODE%"}]}}}}
  - virtualNodeName: dns
    spec:
      listeners: [{portMapping: {port: 82, protocol: http}}]
      serviceDiscovery: {dns: {hostname: a.internal, ipPreference: IPv4_ONLY}}
  - virtualNodeName: map
    spec:
      serviceDiscovery: {awsCloudMap: {namespaceName: n, serviceName: s, attributes: [{key: k, value: "a b"}]}}
      backends: [{virtualService: {virtualServiceName: svc.local}}]
  - virtualNodeName: file
    spec: {serviceDiscovery: {file: {path: /etc/endpoints.json}}}
virtualGateways:
  - virtualGatewayName: edge
    spec:
      listeners:
        - portMapping: {port: 8088, protocol: http2}
          connectionPool: {http2: {maxRequests: 9}}
      logging: {accessLog: {file: {path: /dev/stdout}}}
    gatewayRoutes:
      - gatewayRouteName: one
        spec:
          priority: 1000
          http2Route:
            match: {path: {exact: /in}, hostname: {exact: Shop.Example}, method: GET}
            action:
              target: {virtualService: {virtualServiceName: svc.local}, port: 80}
              rewrite: {path: {exact: /out}}
      - gatewayRouteName: two
        spec:
          grpcRoute:
            match: {serviceName: a.B}
            action:
              target: {virtualService: {virtualServiceName: svc.local}}
              rewrite: {hostname: {defaultTargetHostname: DISABLED}}
      - gatewayRouteName: three
        spec:
          httpRoute:
            match: {prefix: /x}
            action:
              target: {virtualService: {virtualServiceName: svc.local}}
              rewrite: {prefix: {value: /v2/}}
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(MeshFileError) as caught:
        load_mesh(text, "f")
    return str(caught.value).splitlines()


def test_routes_are_read_whole() -> None:
    http, http2, grpc, tcp = load_mesh(FULL).virtual_routers[0].routes
    headers = (HeaderMatch("h1"), HeaderMatch("h2", "prefix", "p", invert=True), HeaderMatch("h3", "range", start=-1, end=10))
    query = (QueryMatch("q1"), QueryMatch("q2", "v"))
    assert http.match == Match(PathMatch("regex", "/a/[0-9]+"), "POST", None, headers, query, 80)
    assert http.targets == (WeightedTarget("static", 0), WeightedTarget("dns", 100, 82))
    assert (http.priority, http.protocol, http.timeout) == (0, "http", Timeout(15.0, 0.0))
    assert http.retry == RetryPolicy(0, 0.0, tcp_events=frozenset({"connection-error"}))
    assert dict(http.options) == {"mirror": "static"}
    assert (http2.match, http2.protocol) == (Match(PathMatch("prefix", "/b"), scheme="https"), "http2")
    assert grpc.match == Match(PathMatch("exact", "/a.B/Cee"), headers=(HeaderMatch("m", "suffix", "s"),), grpc=True)
    assert grpc.retry is not None
    assert (len(grpc.retry.grpc_events), grpc.retry.http_events) == (5, frozenset({"gateway-error"}))
    assert (tcp.protocol, tcp.match, tcp.timeout) == ("tcp", Match(port=99), Timeout(0.0, 7.0))


def test_listeners_are_read_whole() -> None:
    mesh = load_mesh(FULL)
    node = mesh.node("static")
    assert node is not None
    http, http2, grpc, tcp = node.listeners
    assert http.health_check == HealthCheck("http", 2, 10, 5.0, 2.0, "/up", 8080)
    assert [(each.port, each.protocol, each.connection_pool) for each in node.listeners] == [
        (80, "http", ConnectionPool(1, 2)),
        (81, "http2", ConnectionPool(max_requests=3)),
        (82, "grpc", ConnectionPool(max_requests=4)),
        (83, "tcp", ConnectionPool(5)),
    ]
    assert (http.timeout, http2.timeout, grpc.timeout, tcp.timeout) == (Timeout(), Timeout(20.0), Timeout(), Timeout(0.0, 8.0))
    assert mesh.virtual_routers[0].listeners == (PortMapping(80), PortMapping(81, "grpc"))


def test_nodes_and_the_mesh_are_read_whole() -> None:
    mesh = load_mesh(FULL)
    assert (mesh.egress_filter, mesh.ip_preference) == ("ALLOW_ALL", "IPv6_PREFERRED")
    static, dns, cloud, file = mesh.virtual_nodes
    assert static.discovery == StaticEndpoints((StaticEndpoint("127.0.0.1:9"), StaticEndpoint("127.0.0.1:10", "z", 81)))
    assert static.backend_tls is not None
    assert static.backend_tls.validation.trust == FileTrust("/ca")
    assert static.access_log == AccessLog("/log", json=(("code", "%RESPONSE_CODE%"),))
    assert dns.discovery == Dns("a.internal", ip_preference="IPv4_ONLY")
    assert cloud.discovery == CloudMap("n", "s", (("k", "a b"),))
    assert file.discovery == FileEndpoints("/etc/endpoints.json")


def test_gateways_are_read_whole() -> None:
    (gateway,) = load_mesh(FULL).virtual_gateways
    assert [(each.port, each.protocol, each.connection_pool.max_requests) for each in gateway.listeners] == [(8088, "http2", 9)]
    assert gateway.access_log == AccessLog("/dev/stdout")
    one, two, three = gateway.routes
    host = HostMatch("exact", "shop.example")
    assert one.match == Match(PathMatch("exact", "/in"), "GET", host=host)
    assert (one.rewrite, one.priority, one.port) == (Rewrite("svc.local", None, "/out"), 1000, 80)
    assert three.rewrite == Rewrite("svc.local", "/v2/")
    assert two == GatewayRoute("two", "svc.local", "grpc", Match(PathMatch("prefix", "/a.B/"), grpc=True), Rewrite())


WRONG = [
    # names
    ("meshName: full", "meshName: ''", "mesh.meshName: got 0 characters; expected a text of 1 to 255 characters"),
    ("virtualNodeName: map", f"virtualNodeName: {'n' * 256}", "got 256 characters"),
    ("routeName: tcp", "routeName: grpc", "a route `grpc` was declared before"),
    ("gatewayRouteName: two", "gatewayRouteName: one", "a gateway route `one` was declared before"),
    ("ipPreference: IPv6_PREFERRED", "ipPreference: IPv5", "got `IPv5`; expected one of `IPv6_PREFERRED`, `IPv4_PREFERRED`"),
    ("type: ALLOW_ALL", "type: ALLOW", "got `ALLOW`; expected one of `DROP_ALL`, `ALLOW_ALL`"),
    # routes
    ("priority: 0", "priority: 1001", "got 1001; expected a whole number from 0 to 1000"),
    ("priority: 0", "priority: -1", "got -1"),
    ("          tcpRoute:", "          httpRoute: {}\n          tcpRoute:", "got `httpRoute`, `tcpRoute` of them"),
    ('path: {regex: "/a/[0-9]+"}', 'path: {regex: "/a"}\n              prefix: /', "exactly one of `prefix`, `path`"),
    ('path: {regex: "/a/[0-9]+"}', 'path: {regex: "/a(?=b)"}', "is no regular expression: invalid perl operator: (?="),
    ('path: {regex: "/a/[0-9]+"}', "path: {exact: a}", "got `a`; expected a path that starts with `/`"),
    ('path: {regex: "/a/[0-9]+"}', "path: {exact: /a, regex: /a}", "exactly one of `exact`, `regex`"),
    ('path: {regex: "/a/[0-9]+"}', f"path: {{regex: '/{'a' * 255}'}}", "got 256 characters"),
    ("prefix: /b", "prefix: b", "expected a prefix that starts with `/`"),
    ("method: POST", "method: post", "got `post`; expected one of `GET`"),
    ("method: POST", "scheme: http", "`scheme` belongs to http2 routes"),
    ("scheme: https", "scheme: ftp", "got `ftp`; expected one of `http`, `https`"),
    ("- {name: h1}", f"- {{name: {'h' * 51}}}", "got 51 characters; expected a text of 1 to 50"),
    ("- {name: h1}", "- {match: {exact: x}}", "headers[0].name: `name` is missing"),
    ("match: {prefix: p}", "match: {prefix: p, suffix: s}", "exactly one of `exact`, `prefix`, `suffix`, `regex`, `range`"),
    ("match: {prefix: p}", "match: {regex: '('}", "is no regular expression: missing ): ("),
    ("match: {prefix: p}", "match: {exact: ''}", "got 0 characters"),
    ("invert: true", "invert: maybe", "got the text `maybe`; expected `true` or `false`"),
    ("start: -1, end: 10", "start: 10, end: 10", "it starts at 10 and ends at 10; expected an end above the start"),
    ("start: -1, end: 10", "start: 1", "range.end: `end` is missing"),
    ("queryParameters: [{name: q1}", "queryParameters: [{match: {exact: v}}", "queryParameters[0].name: `name` is missing"),
    ("queryParameters: [{name: q1}, {name: q2, match: {exact: v}}]", "queryParameters: []", "got 0 entries; expected 1 to 10"),
    (
        "port: 80\n              headers",
        "port: 65536\n              headers",
        "got 65536; expected a whole number from 1 to 65535",
    ),
    ("{serviceName: a.B, methodName: Cee", "{methodName: Cee", "`methodName` stands without `serviceName`"),
    ("{serviceName: a.B, methodName: Cee", "{serviceName: a/B, methodName: Cee", "got `a/B`"),
    ("weight: 100, port: 82", "weight: 101, port: 82", "got 101; expected a whole number from 0 to 100"),
    (
        "weight: 100, port: 82",
        "weight: 100, port: 83",
        "the virtual node `dns` does not listen on 83; expected one of its ports (82)",
    ),
    (
        "weightedTargets: [{virtualNode: static, weight: 0}, ",
        "weightedTargets: [" + "{virtualNode: static, weight: 1}, " * 10,
        "got 11 entries",
    ),
    (
        ", tcpRetryEvents: [connection-error]}",
        "}",
        "it names no events; expected at least one of `httpRetryEvents`, `tcpRetryEvents`",
    ),
    ("tcpRetryEvents: [connection-error]", "grpcRetryEvents: [internal]", "unknown field `grpcRetryEvents`"),
    (
        "tcpRetryEvents: [connection-error]",
        "tcpRetryEvents: [connection-error, connection-error]",
        "got 2 entries; expected 1 to 1",
    ),
    ("[cancelled,", "[canceled,", "got `canceled`; expected one of `cancelled`"),
    ("maxRetries: 0, perRetryTimeout: {unit: ms, value: 0}", "maxRetries: 0", "`perRetryTimeout` is missing"),
    ("maxRetries: 3", "maxRetries: -3", "got -3"),
    (
        "timeout: {idle: {unit: s, value: 7}}",
        "timeout: {perRequest: {unit: s, value: 7}}",
        "unknown field `perRequest`; expected one of `idle`",
    ),
    ("idle: {unit: s, value: 0}", "idle: {unit: m, value: 0}", "got `m`; expected one of `s`, `ms`"),
    ("idle: {unit: s, value: 0}", "idle: {unit: s, value: 1.5}", "got the number `1.5`"),
    # listeners
    (
        "portMapping: {port: 81, protocol: http2}",
        "portMapping: {port: 80, protocol: http2}",
        "port 80 has more than one listener",
    ),
    (
        "- portMapping: {port: 81, protocol: grpc}",
        "- portMapping: {port: 80, protocol: grpc}",
        "port 80 has more than one listener",
    ),
    ("port: 83, protocol: tcp", "port: 83, protocol: udp", "got `udp`; expected one of `http`, `http2`, `grpc`, `tcp`"),
    (
        "connectionPool: {http2: {maxRequests: 3}}",
        "connectionPool: {http: {maxConnections: 3}}",
        "the connection pool is for `http`, the listener speaks `http2`",
    ),
    (
        "connectionPool: {http2: {maxRequests: 3}}",
        "connectionPool: {http2: {maxRequests: 0}}",
        "got 0; expected a whole number from 1",
    ),
    ("maxConnections: 1, maxPendingRequests: 2", "maxPendingRequests: 2", "`maxConnections` is missing"),
    ("timeout: {http2: {perRequest", "timeout: {http: {perRequest", "the timeout is for `http`, the listener speaks `http2`"),
    ("healthyThreshold: 2, un", "healthyThreshold: 1, un", "healthyThreshold: got 1; expected a whole number from 2 to 10"),
    ("unhealthyThreshold: 10", "unhealthyThreshold: 11", "unhealthyThreshold: got 11"),
    ("intervalMillis: 5000", "intervalMillis: 4999", "got 4999; expected a whole number from 5000 to 300000"),
    ("timeoutMillis: 2000", "timeoutMillis: 60001", "got 60001; expected a whole number from 2000 to 60000"),
    ("healthCheck: {protocol: http,", "healthCheck: {protocol: grpc,", "a grpc check has no path"),
    # nodes
    ("hostname: a.internal, ipPreference: IPv4_ONLY", "ipPreference: IPv4_ONLY", "`hostname` is missing"),
    ("hostname: a.internal", "hostname: a.internal, responseType: ALL", "got `ALL`; expected one of `LOADBALANCER`, `ENDPOINTS`"),
    ("namespaceName: n, ", "", "`namespaceName` is missing"),
    ('{key: k, value: "a b"}', '{key: "k k", value: v}', "got `k k`; expected visible ASCII characters"),
    ('{key: k, value: "a b"}', '{key: k, value: " a"}', "got ` a`; expected visible ASCII characters"),
    ('{key: k, value: "a b"}', "{key: k}", "`value` is missing"),
    (
        "serviceDiscovery: {file: {path: /etc/endpoints.json}}",
        "serviceDiscovery: {file: {path: /e}, dns: {hostname: a}}",
        "exactly one of `dns`, `awsCloudMap`",
    ),
    ("zone: z, port: 81", "zone: z, port: 0", "endpoints[1].port: got 0"),
    (
        "[{virtualService: {virtualServiceName: svc.local}}]",
        "[{virtualService: {virtualServiceName: svc.local}}, {virtualService: {virtualServiceName: svc.local}}]",
        "`svc.local` is already a backend",
    ),
    ("format: {json: [{key: code", "format: {text: x, json: [{key: code", "exactly one of `text`, `json`"),
    ("format: {json: [{key: code", f"format: {{json: [{{key: {'k' * 101}", "got 101 characters; expected a text of 1 to 100"),
    ("path: /log", f"path: /{'l' * 255}", "got 256 characters"),
    # gateways
    ("port: 8088, protocol: http2", "port: 8088, protocol: tcp", "got `tcp`; expected one of `http`, `http2`, `grpc`"),
    (
        "      listeners:\n        - portMapping: {port: 8088, protocol: http2}\n"
        "          connectionPool: {http2: {maxRequests: 9}}\n",
        "",
        "`listeners` is missing",
    ),
    (
        "match: {path: {exact: /in}, hostname: {exact: Shop.Example}, method: GET}",
        "match: {method: GET}",
        "at least one of `prefix`, `path`, `hostname`",
    ),
    ("path: {exact: /in}, hostname", "path: {exact: /in}, prefix: /, hostname", "at most one of `prefix`, `path`"),
    ("hostname: {exact: Shop.Example}", "hostname: {exact: a, suffix: b}", "exactly one of `exact`, `suffix`"),
    ("hostname: {exact: Shop.Example}", f"hostname: {{exact: {'h' * 254}}}", "got 254 characters"),
    ("rewrite: {path: {exact: /out}}", "rewrite: {prefix: {value: /v2/}}", "the route matches by no prefix"),
    ("rewrite: {path: {exact: /out}}", "rewrite: {path: {exact: out}}", "got `out`; expected a path that starts with `/`"),
    ("rewrite: {path: {exact: /out}}", "rewrite: {path: {exact: /out}, prefix: {value: /}}", "at most one of `prefix`, `path`"),
    ("match: {serviceName: a.B}\n", "match: {metadata: [{name: x}]}\n", "at least one of `serviceName`, `hostname`"),
    ("{virtualServiceName: svc.local}, port: 80", "{virtualServiceName: svc}, port: 80", "there is no virtual service `svc`"),
    ("defaultTargetHostname: DISABLED", "defaultTargetHostname: 'NO'", "got `NO`; expected one of `ENABLED`, `DISABLED`"),
    ("value: /v2/", "value: /v2", "got `/v2`; expected a prefix that starts and ends with `/`"),
    ("value: /v2/", "value: /v2/, defaultPrefix: DISABLED", "exactly one of `defaultPrefix`, `value`"),
    # tags
    ("key: meshscope/mirror, value: static", "key: meshscope/miror, value: static", "`meshscope/miror` is no tag of a route"),
    ("key: meshscope/mirror, value: static", "key: meshscope/allow.x, value: from=any", "is no tag of a route"),
    ("key: meshscope/mirror, value: static", "key: meshscope/fault-abort, value: often", "tags: got `often`"),
    (
        "virtualNodeName: map",
        "virtualNodeName: map\n    tags: [{key: meshscope/alow.x, value: from=any}]",
        "is no tag of a virtual node",
    ),
    ("virtualNodeName: map", "virtualNodeName: map\n    tags: [{key: meshscope/deny.x, value: form=any}]", "form"),
    (
        "virtualGatewayName: edge",
        "virtualGatewayName: edge\n    tags: [{key: meshscope/balancer, value: random}]",
        "is no tag of a virtual gateway",
    ),
    ("mesh: {meshName: full", "mesh: {tags: [{key: meshscope/jwt, value: x}], meshName: full", "is no tag of a mesh"),
    ("[{key: meshscope/mirror, value: static}]", f"[{{key: {'k' * 129}, value: v}}]", "got 129 characters"),
    (
        "[{key: meshscope/mirror, value: static}]",
        f"[{{key: k, value: {'v' * 257}}}]",
        "got 257 characters; expected a text of at most 256",
    ),
    ("[{key: meshscope/mirror, value: static}]", "[" + ", ".join(f"{{key: k{i}}}" for i in range(51)) + "]", "got 51 entries"),
]


@pytest.mark.parametrize(("old", "new", "told"), WRONG, ids=[str(place) for place in range(len(WRONG))])
def test_what_app_mesh_refuses_is_refused_where_it_stands(old: str, new: str, told: str) -> None:
    assert FULL.count(old) >= 1, "the case changes nothing"
    text = FULL.replace(old, new, 1)
    lines = problems_of(text)
    assert any(told in line for line in lines), lines
    changed = next(
        number for number, (was, now) in enumerate(zip(FULL.splitlines(), text.splitlines(), strict=False), 1) if was != now
    )
    assert any(told in line and abs(int(line.split(":")[1]) - changed) <= 12 for line in lines), (changed, lines)
