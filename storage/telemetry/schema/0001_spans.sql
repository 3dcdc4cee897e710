-- Spans: OTLP bytes land in a Null table (nothing is stored there); a view types them.

-- `value` bears the oneof's own name: with input_format_protobuf_oneof_presence it tells which member was sent,
-- so that 0, '' and false survive.
CREATE TABLE IF NOT EXISTS otlp_traces_landing (
    resource_spans Array(Tuple(
        resource Tuple(attributes Array(Tuple(key String, value Tuple(
            value Enum8('none'=0,'string_value'=1,'bool_value'=2,'int_value'=3,'double_value'=4,'array_value'=5,'kvlist_value'=6,'bytes_value'=7),
            string_value String, int_value Int64, double_value Float64, bool_value Bool,
            array_value String, kvlist_value String, bytes_value String)))),
        scope_spans Array(Tuple(
            scope Tuple(name String, version String),
            spans Array(Tuple(
                trace_id String, span_id String, trace_state String, parent_span_id String, name String, kind Int32,
                start_time_unix_nano UInt64, end_time_unix_nano UInt64,
                attributes Array(Tuple(key String, value Tuple(
                    value Enum8('none'=0,'string_value'=1,'bool_value'=2,'int_value'=3,'double_value'=4,'array_value'=5,'kvlist_value'=6,'bytes_value'=7),
                    string_value String, int_value Int64, double_value Float64, bool_value Bool,
                    array_value String, kvlist_value String, bytes_value String))),
                events Array(Tuple(time_unix_nano UInt64, name String, attributes Array(Tuple(key String, value Tuple(
                    value Enum8('none'=0,'string_value'=1,'bool_value'=2,'int_value'=3,'double_value'=4,'array_value'=5,'kvlist_value'=6,'bytes_value'=7),
                    string_value String, int_value Int64, double_value Float64, bool_value Bool,
                    array_value String, kvlist_value String, bytes_value String))))),
                links Array(Tuple(trace_id String, span_id String)),
                status Tuple(message String, code Int32)
            ))
        ))
    ))
) ENGINE = Null;

-- How one attribute's value reads as text. Arrays, key-value lists and bytes keep their bytes, as base64.
CREATE FUNCTION IF NOT EXISTS meshscope_text AS v -> multiIf(
    tupleElement(v, 'value') = 'string_value', tupleElement(v, 'string_value'),
    tupleElement(v, 'value') = 'int_value', toString(tupleElement(v, 'int_value')),
    tupleElement(v, 'value') = 'double_value', toString(tupleElement(v, 'double_value')),
    tupleElement(v, 'value') = 'bool_value', toString(tupleElement(v, 'bool_value')),
    base64Encode(concat(tupleElement(v, 'array_value'), tupleElement(v, 'kvlist_value'), tupleElement(v, 'bytes_value'))));

CREATE TABLE IF NOT EXISTS spans (
    ts DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    span_id UInt64 CODEC(ZSTD(1)),
    parent_id UInt64 CODEC(ZSTD(1)),
    trace_state String CODEC(ZSTD(1)),
    service LowCardinality(String),
    version LowCardinality(String),
    instance LowCardinality(String),
    mesh LowCardinality(String),
    node LowCardinality(String),
    hop Enum8('app' = 0, 'inbound' = 1, 'outbound' = 2, 'proxy' = 3),
    scope LowCardinality(String),
    name LowCardinality(String),
    kind Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5),
    duration_ns UInt64 CODEC(T64, ZSTD(1)),
    error Bool,
    status Int8,
    status_message String CODEC(ZSTD(1)),
    http_method LowCardinality(String),
    http_route LowCardinality(String),
    http_status UInt16 CODEC(T64, ZSTD(1)),
    peer LowCardinality(String),
    peer_version LowCardinality(String),
    upstream_cluster LowCardinality(String),
    upstream_address LowCardinality(String),
    response_flags LowCardinality(String),
    resend UInt16 CODEC(T64, ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    resource Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    events Array(Tuple(ts DateTime64(9), name LowCardinality(String), attributes Map(LowCardinality(String), String))) CODEC(ZSTD(1)),
    links Array(Tuple(trace_id String, span_id String)) CODEC(ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (service, name, toUnixTimestamp(ts))
TTL toDateTime(ts) + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- First step: protobuf's shapes become plain columns. Nothing is stored here either.
CREATE TABLE IF NOT EXISTS otlp_spans (
    trace_id String, span_id String, parent_id String, trace_state String, scope LowCardinality(String), name LowCardinality(String),
    kind Int32, start_ns UInt64, end_ns UInt64, status Int32, status_message String,
    a Map(LowCardinality(String), String), r Map(LowCardinality(String), String),
    events Array(Tuple(ts DateTime64(9), name LowCardinality(String), attributes Map(LowCardinality(String), String))),
    links Array(Tuple(trace_id String, span_id String))
) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_traces_to_otlp_spans TO otlp_spans AS
SELECT
    s.trace_id AS trace_id, s.span_id AS span_id, s.parent_span_id AS parent_id, s.trace_state AS trace_state, scope, s.name AS name,
    s.kind AS kind, s.start_time_unix_nano AS start_ns, s.end_time_unix_nano AS end_ns,
    s.status.code AS status, s.status.message AS status_message,
    mapFromArrays(s.attributes.key, arrayMap(v -> meshscope_text(v), s.attributes.value)) AS a,
    r,
    arrayMap(e -> (fromUnixTimestamp64Nano(toInt64(least(e.time_unix_nano, 9000000000000000000))), e.name,
        mapFromArrays(e.attributes.key, arrayMap(v -> meshscope_text(v), e.attributes.value))), s.events) AS events,
    s.links AS links
FROM (
    SELECT r, scope_span.scope.name AS scope, arrayJoin(scope_span.spans) AS s
    FROM (
        SELECT mapFromArrays(rs.resource.attributes.key, arrayMap(v -> meshscope_text(v), rs.resource.attributes.value)) AS r,
               arrayJoin(rs.scope_spans) AS scope_span
        FROM (SELECT arrayJoin(resource_spans) AS rs FROM otlp_traces_landing)
    )
);

-- Second step: what App Mesh, Istio, Envoy and OpenTelemetry call a thing is mapped to one column here, and only here.
-- A start time outside [now - 7 days, now + 1 day] is stored as now, with the original in the attributes: one client with
-- a wrong clock would otherwise open thousands of partitions. A duration above 7 days says that a clock was set or an end is
-- missing: it is stored as 0, with the original end in the attributes, for one such span would spoil every sum it is in.
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_spans_to_spans TO spans AS
SELECT
    if(in_range, started, now64(9)) AS ts,
    toFixedString(substring(raw.trace_id, 1, 16), 16) AS trace_id,
    reinterpretAsUInt64(reverse(raw.span_id)) AS span_id,
    reinterpretAsUInt64(reverse(raw.parent_id)) AS parent_id,
    trace_state,
    if(r['service.name'] != '', r['service.name'], 'unknown_service') AS service,
    r['service.version'] AS version,
    r['service.instance.id'] AS instance,
    r['mesh.name'] AS mesh,
    r['mesh.virtual_node'] AS node,
    multiIf(
        direction = 'inbound' OR startsWith(cluster, 'cds_ingress_') OR startsWith(cluster, 'inbound|'), 'inbound',
        direction = 'outbound' OR startsWith(cluster, 'cds_egress_') OR startsWith(cluster, 'outbound|'), 'outbound',
        a['component'] = 'proxy', 'proxy',
        'app') AS hop,
    scope,
    name,
    if(raw.kind BETWEEN 0 AND 5, raw.kind, 0) AS kind,
    if(credible AND end_ns > start_ns, end_ns - start_ns, 0) AS duration_ns,
    raw.status = 2 OR a['error'] = 'true' OR http_status >= 500 AS error,
    raw.status AS status,
    status_message,
    method AS http_method,
    multiIf(
        mapContains(a, 'http.route'), a['http.route'],
        url_path != '', replaceRegexpAll(url_path, '/(?:\\d+|[0-9a-fA-F-]{16,})\\b', '/{id}'),
        '') AS http_route,
    http_status,
    multiIf(
        mapContains(a, 'peer.service'), a['peer.service'],
        mapContains(a, 'db.system.name'), a['db.system.name'],
        mapContains(a, 'db.system'), a['db.system'],
        mapContains(a, 'messaging.system'), a['messaging.system'],
        '') AS peer,
    a['peer.version'] AS peer_version,
    cluster AS upstream_cluster,
    multiIf(
        mapContains(a, 'upstream_address'), a['upstream_address'],
        mapContains(a, 'server.port'), concat(a['server.address'], ':', a['server.port']),
        a['server.address']) AS upstream_address,
    if(a['response_flags'] = '-', '', a['response_flags']) AS response_flags,
    -- Envoy counts from the second try on as OpenTelemetry does, under another name.
    toUInt16OrZero(if(mapContains(a, 'http.request.resend_count'), a['http.request.resend_count'], a['retry.count'])) AS resend,
    mapUpdate(
        mapFilter((k, v) -> k NOT IN ('http.request.method', 'http.method', 'http.route', 'http.response.status_code', 'http.status_code',
            'peer.service', 'peer.version', 'upstream_cluster', 'upstream_cluster.name', 'response_flags', 'component', 'mesh.direction',
            'http.request.resend_count', 'retry.count'), a),
        mapConcat(
            if(in_range, map(), map('meshscope.original_start_time_unix_nano', toString(start_ns))),
            if(credible, map(), map('meshscope.original_end_time_unix_nano', toString(end_ns))))) AS attributes,
    mapFilter((k, v) -> k NOT IN ('service.name', 'service.version', 'service.instance.id', 'mesh.name', 'mesh.virtual_node'), r) AS resource,
    events,
    links
FROM (
    SELECT
        *,
        fromUnixTimestamp64Nano(toInt64(least(start_ns, 9000000000000000000))) AS started,
        started BETWEEN now64(9) - INTERVAL 7 DAY AND now64(9) + INTERVAL 1 DAY AS in_range,
        end_ns <= start_ns OR end_ns <= start_ns + 7 * 86400 * 1000000000 AS credible,
        a['mesh.direction'] AS direction,
        if(mapContains(a, 'upstream_cluster.name'), a['upstream_cluster.name'], a['upstream_cluster']) AS cluster,
        if(mapContains(a, 'http.request.method'), a['http.request.method'], a['http.method']) AS method,
        if(mapContains(a, 'url.path'), a['url.path'], path(if(mapContains(a, 'url.full'), a['url.full'], a['http.url']))) AS url_path,
        toUInt16OrZero(if(mapContains(a, 'http.response.status_code'), a['http.response.status_code'], a['http.status_code'])) AS http_status
    FROM otlp_spans
) AS raw;

-- Where a trace lies in time: fetching one must not touch every partition.
CREATE TABLE IF NOT EXISTS trace_index (
    trace_id FixedString(16) CODEC(ZSTD(1)),
    start SimpleAggregateFunction(min, DateTime64(9)),
    end SimpleAggregateFunction(max, DateTime64(9)),
    services SimpleAggregateFunction(groupUniqArrayArray, Array(String)),
    root_service SimpleAggregateFunction(max, String),
    root_name SimpleAggregateFunction(max, String),
    spans SimpleAggregateFunction(sum, UInt64),
    errors SimpleAggregateFunction(sum, UInt64)
) ENGINE = AggregatingMergeTree
ORDER BY trace_id
TTL toDateTime(end) + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS spans_to_trace_index TO trace_index AS
SELECT
    trace_id,
    min(ts) AS start,
    max(ts + toIntervalNanosecond(duration_ns)) AS end,
    groupUniqArray(toString(service)) AS services,
    maxIf(toString(service), parent_id = 0) AS root_service,
    maxIf(toString(name), parent_id = 0) AS root_name,
    count() AS spans,
    countIf(error) AS errors
FROM spans
GROUP BY trace_id;
