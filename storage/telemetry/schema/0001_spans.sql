-- Spans: OTLP bytes land in a Null table (nothing is stored there), a row for each ResourceSpans; views type them.

-- An attribute's value lands as the bytes of its AnyValue, for one column is cheaper to fill than one for each of its members.
CREATE TABLE IF NOT EXISTS otlp_traces_landing (
    resource Tuple(attributes Array(Tuple(key String, value String))),
    scope_spans Array(Tuple(
        scope Tuple(name String, version String),
        spans Array(Tuple(
            trace_id String, span_id String, trace_state String, parent_span_id String, flags UInt32, name String, kind Int32,
            start_time_unix_nano UInt64, end_time_unix_nano UInt64,
            attributes Array(Tuple(key String, value String)), dropped_attributes_count UInt32,
            events Array(String), dropped_events_count UInt32, links Array(String), dropped_links_count UInt32,
            status Tuple(message String, code Int32)
        ))
    ))
) ENGINE = Null;

-- The number in an AnyValue whose member is an int: a varint after one byte of tag. Two bytes hold what is usual: ports, codes, sizes.
CREATE FUNCTION IF NOT EXISTS meshscope_int AS v -> if(length(v) <= 3,
    toInt64(bitAnd(reinterpretAsUInt16(substring(v, 2, 2)), 0x7f) + bitShiftRight(bitAnd(reinterpretAsUInt16(substring(v, 2, 2)), 0x7f00), 1)),
    reinterpretAsInt64(arraySum(
        n -> bitShiftLeft(toUInt64(bitAnd(reinterpretAsUInt8(substring(v, n + 2, 1)), 0x7f)), 7 * n), range(length(v) - 1))));

-- How an AnyValue reads as text, told by its first byte, the tag of the member that was sent: so 0, '' and false survive. A string
-- stands after its tag and its length (one byte for each 7 bits). Arrays, key-value lists and bytes keep their bytes, after a
-- zero byte that tells them from text. What is longer than 64 KiB is cut: text ends with … then, of others is told how long they were.
CREATE FUNCTION IF NOT EXISTS meshscope_text AS v -> multiIf(
    ascii(v) = 0x0a AND length(v) <= 65540, if(length(v) <= 129, substring(v, 3), substring(v, 4 + (length(v) > 16386))),
    ascii(v) = 0x18, toString(meshscope_int(v)),
    ascii(v) = 0x21, toString(reinterpretAsFloat64(substring(v, 2))),
    ascii(v) = 0x10, if(endsWith(v, '\0'), 'false', 'true'),
    v = '', '',
    ascii(v) = 0x0a, concat(replaceRegexpOne(toValidUTF8(substring(v, 5 + (length(v) > 2097155), 65536)), '\xEF\xBF\xBD$', ''), '…'),
    length(v) > 65540, concat('… ', toString(length(v)), ' bytes'),
    concat('\0', v));

CREATE FUNCTION IF NOT EXISTS meshscope_map AS pairs -> mapFromArrays(
    tupleElement(pairs, 'key'), arrayMap(v -> meshscope_text(v), tupleElement(pairs, 'value')));

CREATE FUNCTION IF NOT EXISTS meshscope_resource_id AS pairs -> cityHash64(tupleElement(pairs, 'key'), tupleElement(pairs, 'value'));

-- For spans a sender is a resource and the scope that speaks: neither takes a column then.
CREATE FUNCTION IF NOT EXISTS meshscope_sender_id AS (pairs, scope) -> cityHash64(
    tupleElement(pairs, 'key'), tupleElement(pairs, 'value'), tupleElement(scope, 'name'), tupleElement(scope, 'version'));

-- In the order of traces a trace's id is stored once, and a span's parent is the id beside it: `ids` is both, the span's and its
-- parent's. By ten seconds first, so that merging parts that came one after the other is mostly putting one behind the other.
-- `ts` itself must not stand there: a question for some time would then be looked up by it, the last in the order, and find nothing.
-- What has no codec would be LZ4. What is the same for all that a sender sends stands in `resources`: a merge pays for each column
-- of low cardinality what it pays for all of time, ids and duration.
CREATE TABLE IF NOT EXISTS spans (
    ts DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    ids FixedString(16) CODEC(ZSTD(1)),
    span_id UInt64 ALIAS reinterpretAsUInt64(reverse(substring(ids, 1, 8))),
    parent_id UInt64 ALIAS reinterpretAsUInt64(reverse(substring(ids, 9, 8))),
    trace_state String CODEC(ZSTD(1)),
    flags UInt32 CODEC(T64, ZSTD(1)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    version LowCardinality(String) CODEC(ZSTD(1)),
    hop Enum8('app' = 0, 'inbound' = 1, 'outbound' = 2, 'proxy' = 3) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    kind Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5) CODEC(ZSTD(1)),
    duration_ns UInt64 CODEC(T64, ZSTD(1)),
    error Bool CODEC(ZSTD(1)),
    status Int8 CODEC(ZSTD(1)),
    status_message String CODEC(ZSTD(1)),
    http_method LowCardinality(String) CODEC(ZSTD(1)),
    http_route LowCardinality(String) CODEC(ZSTD(1)),
    http_status UInt16 CODEC(T64, ZSTD(1)),
    url_path String CODEC(ZSTD(1)),
    client_address LowCardinality(String) CODEC(ZSTD(1)),
    peer LowCardinality(String) CODEC(ZSTD(1)),
    peer_version LowCardinality(String) CODEC(ZSTD(1)),
    upstream_cluster LowCardinality(String) CODEC(ZSTD(1)),
    upstream_address LowCardinality(String) CODEC(ZSTD(1)),
    response_flags LowCardinality(String) CODEC(ZSTD(1)),
    resend UInt16 CODEC(T64, ZSTD(1)),
    -- Not of low cardinality: a merge looks up each key of each span in a dictionary then, which costs twice what is saved.
    attributes Map(String, String) CODEC(ZSTD(1)),
    resource_id UInt64 CODEC(ZSTD(1)),
    -- What nobody searches by stays as OTLP wrote it: a Span.Event, a Span.Link each.
    events Array(String) CODEC(ZSTD(1)),
    links Array(String) CODEC(ZSTD(1)),
    -- The spans of a trace share their values, so that in this order finding one costs next to nothing on the disk.
    INDEX attribute_values mapValues(attributes) TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX url_paths url_path TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (toStartOfInterval(ts, INTERVAL 10 SECOND), trace_id, toUnixTimestamp64Nano(ts))
TTL toDateTime(ts) + INTERVAL 7 DAY
-- No statistics of columns: each insert and each merge would pay for what no question here gains from. Wider merges: each span is
-- rewritten less often. And row by row, not column by column: for columns as small as these that costs half.
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1, auto_statistics_types = '', merge_selector_base = 10,
    enable_vertical_merge_algorithm = 0;

-- What sent telemetry, once for all that it sent: `id` is a hash of the attributes as they came, for spans
-- of their scope too.
CREATE TABLE IF NOT EXISTS resources (
    id UInt64 CODEC(ZSTD(1)),
    seen Date,
    scope LowCardinality(String) CODEC(ZSTD(1)),
    scope_version LowCardinality(String) CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree(seen)
ORDER BY id
TTL seen + INTERVAL 40 DAY
SETTINGS non_replicated_deduplication_window = 1000, auto_statistics_types = '';

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_traces_to_resources TO resources AS
SELECT DISTINCT
    meshscope_sender_id(resource.attributes, s) AS id, today() AS seen, s.name AS scope, s.version AS scope_version,
    meshscope_map(resource.attributes) AS attributes
FROM (SELECT resource, arrayJoin(scope_spans.scope) AS s FROM otlp_traces_landing);

-- First step: protobuf's shapes become plain columns. Nothing is stored here either. Attributes stay two arrays, names and texts:
-- finding a value in a Map costs twice as much.
CREATE TABLE IF NOT EXISTS otlp_spans (
    trace_id String, span_id String, parent_id String, trace_state String, flags UInt32,
    service LowCardinality(String), version LowCardinality(String), zone LowCardinality(String), resource_id UInt64,
    name LowCardinality(String), kind Int32, start_ns UInt64, end_ns UInt64, status Int32, status_message String,
    k Array(LowCardinality(String)), v Array(String),
    dropped_attributes UInt32, dropped_events UInt32, dropped_links UInt32, events Array(String), links Array(String)
) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_traces_to_otlp_spans TO otlp_spans AS
SELECT
    s.trace_id AS trace_id, s.span_id AS span_id, s.parent_span_id AS parent_id, s.trace_state AS trace_state, s.flags AS flags,
    service, version, zone, resource_id, s.name AS name,
    s.kind AS kind, s.start_time_unix_nano AS start_ns, s.end_time_unix_nano AS end_ns,
    s.status.code AS status, s.status.message AS status_message,
    s.attributes.key AS k, arrayMap(v -> meshscope_text(v), s.attributes.value) AS v,
    s.dropped_attributes_count AS dropped_attributes, s.dropped_events_count AS dropped_events, s.dropped_links_count AS dropped_links,
    s.events AS events, s.links AS links
FROM (
    SELECT service, version, zone, meshscope_sender_id(attributes, scope_span.scope) AS resource_id, arrayJoin(scope_span.spans) AS s
    FROM (
        SELECT
            toLowCardinality(if(r['service.name'] != '', r['service.name'], 'unknown_service')) AS service,
            toLowCardinality(r['service.version']) AS version,
            toLowCardinality(r['cloud.availability_zone']) AS zone,
            attributes, arrayJoin(scope_spans) AS scope_span
        FROM (SELECT meshscope_map(resource.attributes) AS r, resource.attributes AS attributes, scope_spans FROM otlp_traces_landing)
    )
);

-- A span as it is stored, and as the views take it: nothing is stored here either.
CREATE TABLE IF NOT EXISTS typed_spans (
    ts DateTime64(9), trace_id FixedString(16), ids FixedString(16), trace_state String, flags UInt32,
    service LowCardinality(String), version LowCardinality(String), zone LowCardinality(String),
    hop Enum8('app' = 0, 'inbound' = 1, 'outbound' = 2, 'proxy' = 3), name LowCardinality(String),
    kind Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5),
    duration_ns UInt64, error Bool, status Int8, status_message String,
    http_method LowCardinality(String), http_route LowCardinality(String), http_status UInt16, url_path String,
    client_address LowCardinality(String), peer LowCardinality(String), peer_version LowCardinality(String),
    upstream_cluster LowCardinality(String), upstream_address LowCardinality(String), response_flags LowCardinality(String),
    resend UInt16, attributes Map(LowCardinality(String), String), resource_id UInt64, events Array(String), links Array(String)
) ENGINE = Null;

-- Second step: what App Mesh, Istio, Envoy and OpenTelemetry call a thing is mapped to one column here, and only here.
-- A start time outside [now - 7 days, now + 1 day] is stored as now, with the original in the attributes: one client with
-- a wrong clock would otherwise open thousands of partitions. A duration above 7 days says that a clock was set or an end is
-- missing: it is stored as 0, with the original end in the attributes, for one such span would spoil every sum it is in.
-- Beyond those with a column of their own 128 attributes are stored: as many as OpenTelemetry's SDKs let a span have.
-- What a sender dropped, or was left out here, is told by attributes too, under OpenTelemetry's names for formats that have no field for it.
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_spans_to_typed_spans TO typed_spans AS
SELECT
    if(in_range, started, now64(9)) AS ts,
    toFixedString(substring(raw.trace_id, 1, 16), 16) AS trace_id,
    toFixedString(concat(toFixedString(substring(raw.span_id, 1, 8), 8), toFixedString(substring(raw.parent_id, 1, 8), 8)), 16) AS ids,
    trace_state,
    flags,
    service,
    version,
    zone,
    multiIf(
        direction = 'inbound' OR startsWith(cluster, 'cds_ingress_') OR startsWith(cluster, 'inbound|'), 'inbound',
        direction = 'outbound' OR startsWith(cluster, 'cds_egress_') OR startsWith(cluster, 'outbound|'), 'outbound',
        v[indexOf(k, 'component')] = 'proxy', 'proxy',
        'app') AS hop,
    name,
    if(raw.kind BETWEEN 0 AND 5, raw.kind, 0) AS kind,
    if(credible AND end_ns > start_ns, end_ns - start_ns, 0) AS duration_ns,
    raw.status = 2 OR v[indexOf(k, 'error')] = 'true' OR http_status >= 500 AS error,
    raw.status AS status,
    status_message,
    v[if(has(k, 'http.request.method'), indexOf(k, 'http.request.method'), indexOf(k, 'http.method'))] AS http_method,
    multiIf(
        has(k, 'http.route'), v[indexOf(k, 'http.route')],
        asked_path != '', replaceRegexpAll(asked_path, '/(?:\\d+|[0-9a-fA-F-]{16,})\\b', '/{id}'),
        '') AS http_route,
    http_status,
    v[indexOf(k, 'url.path')] AS url_path,
    v[indexOf(k, 'client.address')] AS client_address,
    multiIf(
        has(k, 'peer.service'), v[indexOf(k, 'peer.service')],
        has(k, 'db.system.name'), v[indexOf(k, 'db.system.name')],
        has(k, 'db.system'), v[indexOf(k, 'db.system')],
        v[indexOf(k, 'messaging.system')]) AS peer,
    v[indexOf(k, 'peer.version')] AS peer_version,
    cluster AS upstream_cluster,
    multiIf(
        has(k, 'upstream_address'), v[indexOf(k, 'upstream_address')],
        has(k, 'server.address') AND has(k, 'server.port'), concat(v[indexOf(k, 'server.address')], ':', v[indexOf(k, 'server.port')]),
        v[indexOf(k, 'server.address')]) AS upstream_address,
    if(flagged = '-', '', flagged) AS response_flags,
    -- Envoy counts from the second try on as OpenTelemetry does, under another name.
    toUInt16OrZero(v[if(has(k, 'http.request.resend_count'), indexOf(k, 'http.request.resend_count'), indexOf(k, 'retry.count'))]) AS resend,
    if(in_range AND credible AND dropped_attributes + raw.dropped_events + raw.dropped_links = 0, rest, mapUpdate(
        mapFromArrays(arraySlice(mapKeys(rest), 1, 128), arraySlice(mapValues(rest), 1, 128)), mapConcat(
        if(in_range, map(), map('meshscope.original_start_time_unix_nano', toString(start_ns))),
        if(credible, map(), map('meshscope.original_end_time_unix_nano', toString(end_ns))),
        if(dropped_attributes = 0, map(), map('otel.dropped_attributes_count', toString(dropped_attributes))),
        if(raw.dropped_events = 0, map(), map('otel.dropped_events_count', toString(raw.dropped_events))),
        if(raw.dropped_links = 0, map(), map('otel.dropped_links_count', toString(raw.dropped_links)))))) AS attributes,
    resource_id,
    events,
    links
FROM (
    SELECT
        * EXCEPT (dropped_attributes),
        fromUnixTimestamp64Nano(toInt64(least(start_ns, 9000000000000000000))) AS started,
        started BETWEEN now64(9) - INTERVAL 7 DAY AND now64(9) + INTERVAL 1 DAY AS in_range,
        end_ns <= start_ns OR end_ns <= start_ns + 7 * 86400 * 1000000000 AS credible,
        has(k, 'server.address') AND has(k, 'server.port') AND NOT has(k, 'upstream_address') AS whole_address,
        v[indexOf(k, 'mesh.direction')] AS direction,
        v[indexOf(k, 'response_flags')] AS flagged,
        v[if(has(k, 'upstream_cluster.name'), indexOf(k, 'upstream_cluster.name'), indexOf(k, 'upstream_cluster'))] AS cluster,
        if(has(k, 'url.path'), v[indexOf(k, 'url.path')], path(v[if(has(k, 'url.full'), indexOf(k, 'url.full'), indexOf(k, 'http.url'))])) AS asked_path,
        toUInt16OrZero(v[if(has(k, 'http.response.status_code'), indexOf(k, 'http.response.status_code'), indexOf(k, 'http.status_code'))]) AS http_status,
        arrayMap(name -> name NOT IN ('http.request.method', 'http.method', 'http.route', 'http.response.status_code', 'http.status_code',
            'peer.service', 'peer.version', 'upstream_cluster', 'upstream_cluster.name', 'response_flags', 'component', 'mesh.direction',
            'http.request.resend_count', 'retry.count', 'url.path', 'client.address')
            -- Where upstream_address is made of the two.
            AND (name NOT IN ('server.address', 'server.port') OR NOT whole_address), k) AS kept,
        mapFromArrays(arrayFilter((_, keep) -> keep, k, kept), arrayFilter((_, keep) -> keep, v, kept)) AS rest,
        otlp_spans.dropped_attributes + greatest(length(rest), 128) - 128 AS dropped_attributes
    FROM otlp_spans
) AS raw;

-- Traces that have all the spans that they may (see overgrown_traces): more is counted, but not stored.
CREATE TABLE IF NOT EXISTS full_traces (
    trace_id FixedString(16)
) ENGINE = Set
SETTINGS persistent = 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS typed_spans_to_spans TO spans AS
SELECT * EXCEPT (zone) FROM typed_spans WHERE trace_id NOT IN full_traces;

-- Where a trace lies in time: fetching one must not touch every partition.
CREATE TABLE IF NOT EXISTS trace_index (
    trace_id FixedString(16) CODEC(ZSTD(1)),
    start SimpleAggregateFunction(min, DateTime64(9)) CODEC(ZSTD(1)),
    end SimpleAggregateFunction(max, DateTime64(9)) CODEC(ZSTD(1)),
    services SimpleAggregateFunction(groupUniqArrayArray, Array(String)) CODEC(ZSTD(1)),
    root_service SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD(1)),
    root_name SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD(1)),
    spans SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    errors SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1))
) ENGINE = AggregatingMergeTree
ORDER BY trace_id
TTL toDateTime(end) + INTERVAL 7 DAY
-- One row is asked for at a time: a granule of the usual 8,192 takes longer to read than to find.
SETTINGS non_replicated_deduplication_window = 1000, auto_statistics_types = '', merge_selector_base = 10, index_granularity = 1024;

CREATE MATERIALIZED VIEW IF NOT EXISTS typed_spans_to_trace_index TO trace_index AS
WITH reinterpretAsUInt64(substring(ids, 9, 8)) = 0 AS is_root
SELECT
    trace_id,
    min(ts) AS start,
    max(ts + toIntervalNanosecond(duration_ns)) AS end,
    groupUniqArray(toString(service)) AS services,
    max(if(is_root, service, '')) AS root_service,
    max(if(is_root, name, '')) AS root_name,
    count() AS spans,
    countIf(error) AS errors
FROM typed_spans
GROUP BY trace_id;
