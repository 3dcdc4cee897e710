-- Edges. The caller's span and the callee's span are two halves of one pair, which meet by merging: neither the order of
-- arrival nor the boundaries of blocks matter. Time is no part of a pair's identity, for the halves may fall into
-- different minutes.
CREATE TABLE IF NOT EXISTS half_edges (
    trace_id FixedString(16) CODEC(ZSTD(1)),
    link UInt64 CODEC(ZSTD(1)),
    arrived SimpleAggregateFunction(max, DateTime),
    client SimpleAggregateFunction(max, LowCardinality(String)),
    client_version SimpleAggregateFunction(max, LowCardinality(String)),
    client_hop SimpleAggregateFunction(max, LowCardinality(String)),
    client_ts SimpleAggregateFunction(max, DateTime),
    client_parent SimpleAggregateFunction(max, UInt64),
    client_ns SimpleAggregateFunction(max, UInt64),
    client_error SimpleAggregateFunction(max, UInt8),
    resend SimpleAggregateFunction(max, UInt16),
    peer SimpleAggregateFunction(max, LowCardinality(String)),
    peer_version SimpleAggregateFunction(max, LowCardinality(String)),
    cluster SimpleAggregateFunction(max, LowCardinality(String)),
    address SimpleAggregateFunction(max, LowCardinality(String)),
    server SimpleAggregateFunction(max, LowCardinality(String)),
    server_version SimpleAggregateFunction(max, LowCardinality(String)),
    server_hop SimpleAggregateFunction(max, LowCardinality(String)),
    server_ts SimpleAggregateFunction(max, DateTime),
    server_span SimpleAggregateFunction(max, UInt64),
    server_ns SimpleAggregateFunction(max, UInt64),
    server_error SimpleAggregateFunction(max, UInt8)
) ENGINE = AggregatingMergeTree
ORDER BY (trace_id, link)
TTL arrived + INTERVAL 2 HOUR
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS spans_to_half_edges TO half_edges AS
WITH kind IN ('client', 'producer') AS is_client
SELECT
    trace_id,
    if(is_client, span_id, parent_id) AS link,
    now() AS arrived,
    if(is_client, service, '') AS client,
    if(is_client, version, '') AS client_version,
    if(is_client, toString(hop), '') AS client_hop,
    if(is_client, toDateTime(ts), toDateTime(0)) AS client_ts,
    if(is_client, parent_id, 0) AS client_parent,
    if(is_client, duration_ns, 0) AS client_ns,
    is_client AND error AS client_error,
    if(is_client, resend, 0) AS resend,
    if(is_client, peer, '') AS peer,
    if(is_client, peer_version, '') AS peer_version,
    if(is_client, upstream_cluster, '') AS cluster,
    if(is_client, upstream_address, '') AS address,
    if(is_client, '', service) AS server,
    if(is_client, '', version) AS server_version,
    if(is_client, '', toString(hop)) AS server_hop,
    if(is_client, toDateTime(0), toDateTime(ts)) AS server_ts,
    if(is_client, 0, span_id) AS server_span,
    if(is_client, 0, duration_ns) AS server_ns,
    NOT is_client AND error AS server_error
FROM spans
WHERE kind IN ('client', 'producer', 'server', 'consumer');

-- What complete pairs have shown of a cluster's name: a refused connection to it is then an error on the right edge.
CREATE TABLE IF NOT EXISTS cluster_names (
    client LowCardinality(String),
    cluster LowCardinality(String),
    server LowCardinality(String),
    version LowCardinality(String),
    seen DateTime
) ENGINE = ReplacingMergeTree(seen)
ORDER BY (client, cluster)
TTL seen + INTERVAL 7 DAY;

-- A minute of an edge is replaced, never added to: finding its pairs again gives the same row, and late halves correct it.
-- calls = 0 says that the pairs turned out to belong elsewhere.
CREATE TABLE IF NOT EXISTS edges_1m (
    minute DateTime CODEC(DoubleDelta, ZSTD(1)),
    source LowCardinality(String),
    destination LowCardinality(String),
    source_version LowCardinality(String),
    destination_version LowCardinality(String),
    calls UInt64,
    errors UInt64,
    retries UInt64,
    paired UInt64,
    duration_ns UInt64,
    latency AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), UInt64),
    computed DateTime64(3)
) ENGINE = ReplacingMergeTree(computed)
PARTITION BY toDate(minute)
ORDER BY (minute, source, destination, source_version, destination_version)
TTL minute + INTERVAL 7 DAY
SETTINGS ttl_only_drop_parts = 1;
