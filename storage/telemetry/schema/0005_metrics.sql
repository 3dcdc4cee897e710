-- Metrics: OTLP bytes land in a Null table (nothing is stored there); views type them, a table for each shape of a point.

-- `data` and `value` bear their oneof's own name (see 0001_spans.sql); an enum's numbers are the tags of its members.
-- The optional fields of histograms are oneofs of one member in our otlp.proto, so that a sum of 0 differs from none.
CREATE TABLE IF NOT EXISTS otlp_metrics_landing (
    resource Tuple(attributes Array(Tuple(key String, value String))),
    scope_metrics Array(Tuple(
        scope Tuple(name String, version String),
        metrics Array(Tuple(
            name String, unit String,
            data Enum8('none'=0,'gauge'=5,'sum'=7,'histogram'=9,'exponential_histogram'=10,'summary'=11),
            gauge Tuple(data_points Array(Tuple(
                start_time_unix_nano UInt64, time_unix_nano UInt64, flags UInt32,
                value Enum8('none'=0,'as_double'=4,'as_int'=6), as_double Float64, as_int Int64,
                attributes Array(Tuple(key String, value String)),
                exemplars Array(Tuple(
                    time_unix_nano UInt64, value Enum8('none'=0,'as_double'=3,'as_int'=6), as_double Float64, as_int Int64,
                    span_id String, trace_id String,
                    filtered_attributes Array(Tuple(key String, value String))))
            ))),
            sum Tuple(aggregation_temporality Int32, is_monotonic Bool, data_points Array(Tuple(
                start_time_unix_nano UInt64, time_unix_nano UInt64, flags UInt32,
                value Enum8('none'=0,'as_double'=4,'as_int'=6), as_double Float64, as_int Int64,
                attributes Array(Tuple(key String, value String)),
                exemplars Array(Tuple(
                    time_unix_nano UInt64, value Enum8('none'=0,'as_double'=3,'as_int'=6), as_double Float64, as_int Int64,
                    span_id String, trace_id String,
                    filtered_attributes Array(Tuple(key String, value String))))
            ))),
            histogram Tuple(aggregation_temporality Int32, data_points Array(Tuple(
                start_time_unix_nano UInt64, time_unix_nano UInt64, flags UInt32, count UInt64,
                optional_sum Enum8('none'=0,'sum'=5), sum Float64,
                optional_min Enum8('none'=0,'min'=11), min Float64,
                optional_max Enum8('none'=0,'max'=12), max Float64,
                bucket_counts Array(UInt64), explicit_bounds Array(Float64),
                attributes Array(Tuple(key String, value String)),
                exemplars Array(Tuple(
                    time_unix_nano UInt64, value Enum8('none'=0,'as_double'=3,'as_int'=6), as_double Float64, as_int Int64,
                    span_id String, trace_id String,
                    filtered_attributes Array(Tuple(key String, value String))))
            ))),
            exponential_histogram Tuple(aggregation_temporality Int32, data_points Array(Tuple(
                start_time_unix_nano UInt64, time_unix_nano UInt64, flags UInt32, count UInt64,
                optional_sum Enum8('none'=0,'sum'=5), sum Float64,
                optional_min Enum8('none'=0,'min'=12), min Float64,
                optional_max Enum8('none'=0,'max'=13), max Float64,
                scale Int32, zero_count UInt64, zero_threshold Float64,
                positive Tuple(offset Int32, bucket_counts Array(UInt64)), negative Tuple(offset Int32, bucket_counts Array(UInt64)),
                attributes Array(Tuple(key String, value String)),
                exemplars Array(Tuple(
                    time_unix_nano UInt64, value Enum8('none'=0,'as_double'=3,'as_int'=6), as_double Float64, as_int Int64,
                    span_id String, trace_id String,
                    filtered_attributes Array(Tuple(key String, value String))))
            ))),
            summary Tuple(data_points Array(Tuple(
                start_time_unix_nano UInt64, time_unix_nano UInt64, flags UInt32, count UInt64, sum Float64,
                quantile_values Array(Tuple(quantile Float64, value Float64)),
                attributes Array(Tuple(key String, value String))
            )))
        ))
    ))
) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_metrics_to_resources TO resources AS
SELECT DISTINCT meshscope_resource_id(resource.attributes) AS id, today() AS seen, meshscope_map(resource.attributes) AS attributes
FROM otlp_metrics_landing;

CREATE FUNCTION IF NOT EXISTS meshscope_nanos AS ns -> fromUnixTimestamp64Nano(toInt64(least(ns, 9000000000000000000)));

-- A time outside [now - 7 days, now + 1 day] is stored as now, with the original in the attributes, as for spans.
CREATE FUNCTION IF NOT EXISTS meshscope_in_range AS ns -> meshscope_nanos(ns)
    BETWEEN now64(9) - INTERVAL 7 DAY AND now64(9) + INTERVAL 1 DAY;

-- Envoy's stats sink sends the start (not the time) in microseconds: sixteen digits, which as nanoseconds would lie in the
-- first four months of 1970 and as microseconds lie between 2001 and 2286. No start is that old, so they are microseconds.
CREATE FUNCTION IF NOT EXISTS meshscope_start AS ns -> meshscope_nanos(
    if(ns BETWEEN 1000000000000000 AND 9999999999999999, ns * 1000, ns));

-- Envoy under App Mesh names no service in the resource; it tags each point with its virtual node.
CREATE FUNCTION IF NOT EXISTS meshscope_service AS (named, a) -> multiIf(
    named != '', named,
    mapContains(a, 'appmesh.virtual_node'), a['appmesh.virtual_node'],
    'unknown_service');

CREATE FUNCTION IF NOT EXISTS meshscope_exemplars AS exemplars -> arrayMap(
    e -> (meshscope_nanos(e.time_unix_nano), if(e.value = 'as_int', toFloat64(e.as_int), e.as_double),
        toFixedString(substring(e.trace_id, 1, 16), 16), reinterpretAsUInt64(reverse(e.span_id)), meshscope_map(e.filtered_attributes)),
    exemplars);

-- Gauges and sums. `value` is NULL when the point says that nothing was recorded; `value_int` is the exact number of an
-- integer. `start_ts` is 1970 when the sender does not say. `series` tells a metric's series apart: one for each set of
-- resource, scope and attributes.
CREATE TABLE IF NOT EXISTS metric_points (
    ts DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    start_ts DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    service LowCardinality(String),
    version LowCardinality(String),
    instance LowCardinality(String),
    mesh LowCardinality(String),
    scope LowCardinality(String),
    name LowCardinality(String),
    unit LowCardinality(String),
    kind Enum8('gauge' = 5, 'sum' = 7),
    temporality Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2),
    series UInt64 CODEC(ZSTD(1)),
    monotonic Bool,
    value Nullable(Float64) CODEC(ZSTD(1)),
    value_int Nullable(Int64) CODEC(ZSTD(1)),
    flags UInt32 CODEC(T64, ZSTD(1)),
    exemplars Array(Tuple(ts DateTime64(9), value Float64, trace_id FixedString(16), span_id UInt64, attributes Map(LowCardinality(String), String))) CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    resource_id UInt64 CODEC(ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (service, name, series, toUnixTimestamp(ts))
TTL toDateTime(ts) + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000, auto_statistics_types = '', ttl_only_drop_parts = 1;

-- Explicit and exponential histograms: the ones have `bounds` and `counts`, the others a scale and buckets on both sides of zero.
CREATE TABLE IF NOT EXISTS metric_histograms (
    ts DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    start_ts DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    service LowCardinality(String),
    version LowCardinality(String),
    instance LowCardinality(String),
    mesh LowCardinality(String),
    scope LowCardinality(String),
    name LowCardinality(String),
    unit LowCardinality(String),
    kind Enum8('histogram' = 9, 'exponential_histogram' = 10),
    temporality Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2),
    series UInt64 CODEC(ZSTD(1)),
    count UInt64 CODEC(T64, ZSTD(1)),
    sum Nullable(Float64) CODEC(ZSTD(1)),
    min Nullable(Float64) CODEC(ZSTD(1)),
    max Nullable(Float64) CODEC(ZSTD(1)),
    bounds Array(Float64) CODEC(ZSTD(1)),
    counts Array(UInt64) CODEC(ZSTD(1)),
    scale Int32 CODEC(T64, ZSTD(1)),
    zero_count UInt64 CODEC(T64, ZSTD(1)),
    zero_threshold Float64 CODEC(ZSTD(1)),
    positive_offset Int32 CODEC(T64, ZSTD(1)),
    positive_counts Array(UInt64) CODEC(ZSTD(1)),
    negative_offset Int32 CODEC(T64, ZSTD(1)),
    negative_counts Array(UInt64) CODEC(ZSTD(1)),
    flags UInt32 CODEC(T64, ZSTD(1)),
    exemplars Array(Tuple(ts DateTime64(9), value Float64, trace_id FixedString(16), span_id UInt64, attributes Map(LowCardinality(String), String))) CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    resource_id UInt64 CODEC(ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (service, name, series, toUnixTimestamp(ts))
TTL toDateTime(ts) + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000, auto_statistics_types = '', ttl_only_drop_parts = 1;

-- Summaries: quantiles that the sender worked out, `values[i]` at `quantiles[i]`.
CREATE TABLE IF NOT EXISTS metric_summaries (
    ts DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    start_ts DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    service LowCardinality(String),
    version LowCardinality(String),
    instance LowCardinality(String),
    mesh LowCardinality(String),
    scope LowCardinality(String),
    name LowCardinality(String),
    unit LowCardinality(String),
    series UInt64 CODEC(ZSTD(1)),
    count UInt64 CODEC(T64, ZSTD(1)),
    sum Float64 CODEC(ZSTD(1)),
    quantiles Array(Float64) CODEC(ZSTD(1)),
    `values` Array(Float64) CODEC(ZSTD(1)),
    flags UInt32 CODEC(T64, ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    resource_id UInt64 CODEC(ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (service, name, series, toUnixTimestamp(ts))
TTL toDateTime(ts) + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000, auto_statistics_types = '', ttl_only_drop_parts = 1;

-- First step: protobuf's shapes become plain columns, a row for each metric. Nothing is stored here either.
CREATE TABLE IF NOT EXISTS otlp_metrics (
    named LowCardinality(String), version LowCardinality(String), instance LowCardinality(String), mesh LowCardinality(String),
    resource_id UInt64, scope LowCardinality(String), name LowCardinality(String), unit LowCardinality(String),
    kind Enum8('none' = 0, 'gauge' = 5, 'sum' = 7, 'histogram' = 9, 'exponential_histogram' = 10, 'summary' = 11),
    temporality Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2), monotonic Bool,
    numbers Array(Tuple(a Map(LowCardinality(String), String), start_ns UInt64, time_ns UInt64, flags UInt32,
        exemplars Array(Tuple(ts DateTime64(9), value Float64, trace_id FixedString(16), span_id UInt64, attributes Map(LowCardinality(String), String))),
        value Nullable(Float64), value_int Nullable(Int64))),
    histograms Array(Tuple(a Map(LowCardinality(String), String), start_ns UInt64, time_ns UInt64, flags UInt32,
        exemplars Array(Tuple(ts DateTime64(9), value Float64, trace_id FixedString(16), span_id UInt64, attributes Map(LowCardinality(String), String))),
        count UInt64, sum Nullable(Float64), min Nullable(Float64), max Nullable(Float64),
        bounds Array(Float64), counts Array(UInt64), scale Int32, zero_count UInt64, zero_threshold Float64,
        positive_offset Int32, positive_counts Array(UInt64), negative_offset Int32, negative_counts Array(UInt64))),
    summaries Array(Tuple(a Map(LowCardinality(String), String), start_ns UInt64, time_ns UInt64, flags UInt32,
        count UInt64, sum Float64, quantiles Array(Float64), `values` Array(Float64)))
) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_metrics_landing_to_otlp_metrics TO otlp_metrics AS
WITH
    -- Only the member that was sent is not 0.
    m.sum.aggregation_temporality + m.histogram.aggregation_temporality + m.exponential_histogram.aggregation_temporality AS told
SELECT
    named, version, instance, mesh, resource_id, scope, m.name AS name, m.unit AS unit, m.data AS kind,
    if(told IN (1, 2), told, 0) AS temporality,
    m.sum.is_monotonic AS monotonic,
    arrayMap(p -> (meshscope_map(p.attributes), p.start_time_unix_nano, p.time_unix_nano, p.flags, meshscope_exemplars(p.exemplars),
        multiIf(p.value = 'as_double', p.as_double, p.value = 'as_int', toFloat64(p.as_int), NULL),
        if(p.value = 'as_int', p.as_int, NULL)), arrayConcat(m.gauge.data_points, m.sum.data_points)) AS numbers,
    arrayConcat(
        arrayMap(p -> (meshscope_map(p.attributes), p.start_time_unix_nano, p.time_unix_nano, p.flags, meshscope_exemplars(p.exemplars),
            p.count, if(p.optional_sum = 'sum', p.sum, NULL), if(p.optional_min = 'min', p.min, NULL),
            if(p.optional_max = 'max', p.max, NULL),
            p.explicit_bounds, p.bucket_counts, 0, 0, 0, 0, [], 0, []), m.histogram.data_points),
        arrayMap(p -> (meshscope_map(p.attributes), p.start_time_unix_nano, p.time_unix_nano, p.flags, meshscope_exemplars(p.exemplars),
            p.count, if(p.optional_sum = 'sum', p.sum, NULL), if(p.optional_min = 'min', p.min, NULL),
            if(p.optional_max = 'max', p.max, NULL),
            [], [], p.scale, p.zero_count, p.zero_threshold, p.positive.offset, p.positive.bucket_counts,
            p.negative.offset, p.negative.bucket_counts), m.exponential_histogram.data_points)) AS histograms,
    arrayMap(p -> (meshscope_map(p.attributes), p.start_time_unix_nano, p.time_unix_nano, p.flags, p.count, p.sum,
        p.quantile_values.quantile, p.quantile_values.value), m.summary.data_points) AS summaries
FROM (
    SELECT named, version, instance, mesh, resource_id, toLowCardinality(scope_metric.scope.name) AS scope,
        arrayJoin(scope_metric.metrics) AS m
    FROM (
        SELECT
            toLowCardinality(if(mapContains(r, 'service.name'), r['service.name'], r['mesh.virtual_node'])) AS named,
            toLowCardinality(r['service.version']) AS version,
            toLowCardinality(r['service.instance.id']) AS instance,
            toLowCardinality(r['mesh.name']) AS mesh,
            resource_id, arrayJoin(scope_metrics) AS scope_metric
        FROM (
            SELECT meshscope_map(resource.attributes) AS r, meshscope_resource_id(resource.attributes) AS resource_id, scope_metrics
            FROM otlp_metrics_landing
        )
    )
);

-- Second step: one row for each point.
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_metrics_to_metric_points TO metric_points AS
SELECT
    if(meshscope_in_range(p.time_ns), meshscope_nanos(p.time_ns), now64(9)) AS ts,
    meshscope_start(p.start_ns) AS start_ts,
    meshscope_service(named, p.a) AS service,
    version,
    instance,
    if(m.mesh != '', m.mesh, p.a['appmesh.mesh']) AS mesh,
    scope,
    name,
    unit,
    kind,
    temporality,
    cityHash64(resource_id, scope, mapSort(p.a)) AS series,
    monotonic,
    p.value AS value,
    p.value_int AS value_int,
    p.flags AS flags,
    p.exemplars AS exemplars,
    mapUpdate(p.a, if(meshscope_in_range(p.time_ns), map(), map('meshscope.original_time_unix_nano', toString(p.time_ns)))) AS attributes,
    resource_id
FROM (SELECT named, version, instance, mesh, resource_id, scope, name, unit, kind, temporality, monotonic, arrayJoin(numbers) AS p FROM otlp_metrics) AS m;

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_metrics_to_metric_histograms TO metric_histograms AS
SELECT
    if(meshscope_in_range(p.time_ns), meshscope_nanos(p.time_ns), now64(9)) AS ts,
    meshscope_start(p.start_ns) AS start_ts,
    meshscope_service(named, p.a) AS service,
    version,
    instance,
    if(m.mesh != '', m.mesh, p.a['appmesh.mesh']) AS mesh,
    scope,
    name,
    unit,
    kind,
    temporality,
    cityHash64(resource_id, scope, mapSort(p.a)) AS series,
    p.count AS count,
    p.sum AS sum,
    p.min AS min,
    p.max AS max,
    p.bounds AS bounds,
    p.counts AS counts,
    p.scale AS scale,
    p.zero_count AS zero_count,
    p.zero_threshold AS zero_threshold,
    p.positive_offset AS positive_offset,
    p.positive_counts AS positive_counts,
    p.negative_offset AS negative_offset,
    p.negative_counts AS negative_counts,
    p.flags AS flags,
    p.exemplars AS exemplars,
    mapUpdate(p.a, if(meshscope_in_range(p.time_ns), map(), map('meshscope.original_time_unix_nano', toString(p.time_ns)))) AS attributes,
    resource_id
FROM (SELECT named, version, instance, mesh, resource_id, scope, name, unit, kind, temporality, arrayJoin(histograms) AS p FROM otlp_metrics) AS m;

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_metrics_to_metric_summaries TO metric_summaries AS
SELECT
    if(meshscope_in_range(p.time_ns), meshscope_nanos(p.time_ns), now64(9)) AS ts,
    meshscope_start(p.start_ns) AS start_ts,
    meshscope_service(named, p.a) AS service,
    version,
    instance,
    if(m.mesh != '', m.mesh, p.a['appmesh.mesh']) AS mesh,
    scope,
    name,
    unit,
    cityHash64(resource_id, scope, mapSort(p.a)) AS series,
    p.count AS count,
    p.sum AS sum,
    p.quantiles AS quantiles,
    p.`values` AS `values`,
    p.flags AS flags,
    mapUpdate(p.a, if(meshscope_in_range(p.time_ns), map(), map('meshscope.original_time_unix_nano', toString(p.time_ns)))) AS attributes,
    resource_id
FROM (SELECT named, version, instance, mesh, resource_id, scope, name, unit, arrayJoin(summaries) AS p FROM otlp_metrics) AS m;
