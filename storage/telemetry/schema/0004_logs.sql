-- Logs, and the mesh events among them.
CREATE TABLE IF NOT EXISTS otlp_logs_landing (
    resource Tuple(attributes Array(Tuple(key String, value String))),
    scope_logs Array(Tuple(
        scope Tuple(name String, version String),
        log_records Array(Tuple(
            time_unix_nano UInt64, severity_number Int32, severity_text String, body String,
            attributes Array(Tuple(key String, value String)), dropped_attributes_count UInt32,
            flags UInt32, trace_id String, span_id String, observed_time_unix_nano UInt64, event_name String
        ))
    ))
) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_logs_to_resources TO resources AS
SELECT DISTINCT meshscope_resource_id(resource.attributes) AS id, today() AS seen, meshscope_map(resource.attributes) AS attributes
FROM otlp_logs_landing;

CREATE TABLE IF NOT EXISTS logs (
    ts DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    span_id UInt64 CODEC(ZSTD(1)),
    service LowCardinality(String),
    version LowCardinality(String),
    instance LowCardinality(String),
    mesh LowCardinality(String),
    scope LowCardinality(String),
    flags UInt32 CODEC(T64, ZSTD(1)),
    severity Int32,
    severity_text LowCardinality(String),
    event_name LowCardinality(String),
    body String CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    numbers Map(LowCardinality(String), Float64) CODEC(ZSTD(1)),
    resource_id UInt64 CODEC(ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (service, ts)
TTL toDateTime(ts) + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000, auto_statistics_types = '', ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_logs_to_logs TO logs AS
WITH
    if(l.time_unix_nano > 0, l.time_unix_nano, l.observed_time_unix_nano) AS nanos,
    fromUnixTimestamp64Nano(toInt64(least(nanos, 9000000000000000000))) AS stamped,
    -- A time outside this is stored as now, with the original in the attributes, as for spans.
    stamped BETWEEN now64(9) - INTERVAL 7 DAY AND now64(9) + INTERVAL 1 DAY AS in_range,
    arrayFilter(kv -> ascii(kv.value) IN (0x18, 0x21), l.attributes) AS numeric
SELECT
    if(in_range, stamped, now64(9)) AS ts,
    -- Ids of another length are none, as OTLP has it for logs.
    toFixedString(if(length(l.trace_id) = 16, l.trace_id, ''), 16) AS trace_id,
    if(length(l.span_id) = 8, reinterpretAsUInt64(reverse(l.span_id)), 0) AS span_id,
    if(r['service.name'] != '', r['service.name'], 'unknown_service') AS service,
    r['service.version'] AS version,
    r['service.instance.id'] AS instance,
    r['mesh.name'] AS mesh,
    scope,
    l.flags AS flags,
    l.severity_number AS severity,
    l.severity_text AS severity_text,
    l.event_name AS event_name,
    meshscope_text(l.body) AS body,
    mapUpdate(
        meshscope_map(l.attributes),
        mapConcat(
            if(in_range OR nanos = 0, map(), map('meshscope.original_time_unix_nano', toString(nanos))),
            if(l.dropped_attributes_count = 0, map(), map('otel.dropped_attributes_count', toString(l.dropped_attributes_count))))) AS attributes,
    mapFromArrays(numeric.key, arrayMap(v -> toFloat64(meshscope_text(v)), numeric.value)) AS numbers,
    resource_id
FROM (
    SELECT r, resource_id, scope, arrayJoin(records) AS l
    FROM (
        SELECT meshscope_map(resource.attributes) AS r, meshscope_resource_id(resource.attributes) AS resource_id,
            arrayJoin(scope_logs) AS scope_log, scope_log.scope.name AS scope, scope_log.log_records AS records
        FROM otlp_logs_landing
    )
);

CREATE TABLE IF NOT EXISTS mesh_events (
    ts DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    mesh LowCardinality(String),
    source LowCardinality(String),
    destination LowCardinality(String),
    endpoint LowCardinality(String),
    target LowCardinality(String),
    instance LowCardinality(String),
    type LowCardinality(String),
    action LowCardinality(String),
    enforced Bool,
    reason LowCardinality(String),
    numbers Map(LowCardinality(String), Float64),
    trace_id FixedString(16)
) ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (ts, type, source, destination)
TTL toDateTime(ts) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 1000, auto_statistics_types = '', ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs_to_mesh_events TO mesh_events AS
SELECT
    ts, mesh,
    if(mapContains(attributes, 'mesh.source'), attributes['mesh.source'], toString(service)) AS source,
    attributes['mesh.destination'] AS destination,
    attributes['mesh.endpoint'] AS endpoint,
    attributes['mesh.target'] AS target,
    instance,
    substring(event_name, 6) AS type,
    attributes['mesh.event.action'] AS action,
    attributes['mesh.event.enforced'] != 'false' AS enforced,
    attributes['mesh.event.reason'] AS reason,
    mapApply((k, v) -> (replaceOne(k, 'mesh.event.', ''), v), numbers) AS numbers,
    trace_id
FROM logs
WHERE startsWith(event_name, 'mesh.');
