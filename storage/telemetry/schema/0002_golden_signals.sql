-- Golden signals: incoming requests by service, version, zone and route. They count every span, whatever is kept of the spans.
-- The requests that a proxy takes from its own application (hop 'outbound') are not incoming.
-- A state takes kilobytes: in granules of the usual 8,192 rows each question would read those of all services.
-- `slowest` and `failed` are traces to look at: of the longest request, and of one that erred (zeros when none did).
CREATE TABLE IF NOT EXISTS golden_signals_10s (
    ts DateTime CODEC(DoubleDelta, ZSTD(1)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    version LowCardinality(String) CODEC(ZSTD(1)),
    zone LowCardinality(String) CODEC(ZSTD(1)),
    route LowCardinality(String) CODEC(ZSTD(1)),
    hop Enum8('app' = 0, 'inbound' = 1, 'outbound' = 2, 'proxy' = 3),
    calls SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    errors SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    duration_ns SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    latency AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), UInt64) CODEC(ZSTD(1)),
    slowest AggregateFunction(argMax, FixedString(16), UInt64) CODEC(ZSTD(1)),
    failed SimpleAggregateFunction(max, FixedString(16)) CODEC(ZSTD(1))
) ENGINE = AggregatingMergeTree
PARTITION BY toDate(ts)
ORDER BY (service, ts, hop, version, zone, route)
TTL ts + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1, auto_statistics_types = '', index_granularity = 64;

-- Services that have all the operations that they may (see operations), and what those are. A sum that comes beyond is `__other__`'s.
CREATE TABLE IF NOT EXISTS crowded_services (
    service String
) ENGINE = Set
SETTINGS persistent = 0;

CREATE TABLE IF NOT EXISTS named_operations (
    operation UInt64
) ENGINE = Set
SETTINGS persistent = 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS typed_spans_to_golden_signals_10s TO golden_signals_10s AS
WITH if(http_route != '', http_route, name) AS operation
SELECT
    toStartOfInterval(toDateTime(s.ts), INTERVAL 10 SECOND) AS ts,
    service,
    version,
    zone,
    if(service IN crowded_services AND cityHash64(service, operation) NOT IN named_operations, '__other__', operation) AS route,
    hop,
    count() AS calls,
    countIf(error) AS errors,
    sum(duration_ns) AS duration_ns,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(s.duration_ns) AS latency,
    argMaxState(trace_id, s.duration_ns) AS slowest,
    max(if(error, trace_id, toFixedString('', 16))) AS failed
FROM typed_spans AS s
WHERE kind IN ('server', 'consumer') AND hop != 'outbound'
GROUP BY ts, service, version, zone, route, hop;

-- The same by minute and by hour, each from the one before: what lies further back is asked for in coarser steps, and kept longer
-- than spans are. Their partitions are months: the days that go for lack of room take nothing from them.
CREATE TABLE IF NOT EXISTS golden_signals_1m (
    ts DateTime CODEC(DoubleDelta, ZSTD(1)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    version LowCardinality(String) CODEC(ZSTD(1)),
    zone LowCardinality(String) CODEC(ZSTD(1)),
    route LowCardinality(String) CODEC(ZSTD(1)),
    hop Enum8('app' = 0, 'inbound' = 1, 'outbound' = 2, 'proxy' = 3),
    calls SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    errors SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    duration_ns SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    latency AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), UInt64) CODEC(ZSTD(1)),
    slowest AggregateFunction(argMax, FixedString(16), UInt64) CODEC(ZSTD(1)),
    failed SimpleAggregateFunction(max, FixedString(16)) CODEC(ZSTD(1))
) ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (service, ts, hop, version, zone, route)
TTL ts + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 1000, auto_statistics_types = '', index_granularity = 64;

CREATE MATERIALIZED VIEW IF NOT EXISTS golden_signals_10s_to_1m TO golden_signals_1m AS
SELECT
    toStartOfMinute(g.ts) AS ts, service, version, zone, route, hop,
    sum(g.calls) AS calls, sum(g.errors) AS errors, sum(g.duration_ns) AS duration_ns,
    quantilesDDMergeState(0.01, 0.5, 0.95, 0.99)(g.latency) AS latency,
    argMaxMergeState(g.slowest) AS slowest, max(g.failed) AS failed
FROM golden_signals_10s AS g
GROUP BY ts, service, version, zone, route, hop;

CREATE TABLE IF NOT EXISTS golden_signals_1h (
    ts DateTime CODEC(DoubleDelta, ZSTD(1)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    version LowCardinality(String) CODEC(ZSTD(1)),
    zone LowCardinality(String) CODEC(ZSTD(1)),
    route LowCardinality(String) CODEC(ZSTD(1)),
    hop Enum8('app' = 0, 'inbound' = 1, 'outbound' = 2, 'proxy' = 3),
    calls SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    errors SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    duration_ns SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    latency AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), UInt64) CODEC(ZSTD(1)),
    slowest AggregateFunction(argMax, FixedString(16), UInt64) CODEC(ZSTD(1)),
    failed SimpleAggregateFunction(max, FixedString(16)) CODEC(ZSTD(1))
) ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (service, ts, hop, version, zone, route)
TTL ts + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, auto_statistics_types = '', index_granularity = 64;

CREATE MATERIALIZED VIEW IF NOT EXISTS golden_signals_1m_to_1h TO golden_signals_1h AS
SELECT
    toStartOfHour(g.ts) AS ts, service, version, zone, route, hop,
    sum(g.calls) AS calls, sum(g.errors) AS errors, sum(g.duration_ns) AS duration_ns,
    quantilesDDMergeState(0.01, 0.5, 0.95, 0.99)(g.latency) AS latency,
    argMaxMergeState(g.slowest) AS slowest, max(g.failed) AS failed
FROM golden_signals_1m AS g
GROUP BY ts, service, version, zone, route, hop;
