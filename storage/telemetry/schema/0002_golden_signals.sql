-- Golden signals: incoming requests by service, version and route. They count every span, whatever is kept of the spans.
-- The requests that a proxy takes from its own application (hop 'outbound') are not incoming.
CREATE TABLE IF NOT EXISTS golden_signals_10s (
    ts DateTime CODEC(DoubleDelta, ZSTD(1)),
    service LowCardinality(String),
    version LowCardinality(String),
    route LowCardinality(String),
    hop Enum8('app' = 0, 'inbound' = 1, 'outbound' = 2, 'proxy' = 3),
    calls SimpleAggregateFunction(sum, UInt64),
    errors SimpleAggregateFunction(sum, UInt64),
    duration_ns SimpleAggregateFunction(sum, UInt64),
    latency AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), UInt64)
) ENGINE = AggregatingMergeTree
PARTITION BY toDate(ts)
ORDER BY (service, ts, hop, version, route)
TTL ts + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS spans_to_golden_signals_10s TO golden_signals_10s AS
SELECT
    toStartOfInterval(toDateTime(spans.ts), INTERVAL 10 SECOND) AS ts,
    service,
    version,
    if(http_route != '', http_route, name) AS route,
    hop,
    count() AS calls,
    countIf(error) AS errors,
    sum(duration_ns) AS duration_ns,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(spans.duration_ns) AS latency
FROM spans
WHERE kind IN ('server', 'consumer') AND hop != 'outbound'
GROUP BY ts, service, version, route, hop;
