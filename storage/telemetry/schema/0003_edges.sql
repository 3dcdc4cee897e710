-- Edges. The caller's span and the callee's span are two halves of one pair, which meet when edges are looked for: neither the
-- order of arrival nor the boundaries of blocks matter. Time is no part of a pair's identity, for the halves may fall into
-- different minutes.
--
-- `link` is what both halves know of the call: the id of its CLIENT span. `other` is what each one knows besides: the caller's
-- parent, the callee's own id.
CREATE TABLE IF NOT EXISTS half_edges (
    trace_id FixedString(16) CODEC(ZSTD(1)),
    link UInt64 CODEC(ZSTD(1)),
    side Enum8('client' = 0, 'server' = 1) CODEC(ZSTD(1)),
    other UInt64 CODEC(ZSTD(1)),
    arrived DateTime CODEC(Delta(4), ZSTD(1)),
    ts DateTime CODEC(Delta(4), ZSTD(1)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    version LowCardinality(String) CODEC(ZSTD(1)),
    hop Enum8('none' = 0, 'app' = 1, 'inbound' = 2, 'outbound' = 3, 'proxy' = 4) CODEC(ZSTD(1)),
    duration_ns UInt64 CODEC(T64, ZSTD(1)),
    error Bool CODEC(ZSTD(1)),
    resend UInt16 CODEC(T64, ZSTD(1)),
    peer LowCardinality(String) CODEC(ZSTD(1)),
    peer_version LowCardinality(String) CODEC(ZSTD(1)),
    cluster LowCardinality(String) CODEC(ZSTD(1)),
    address LowCardinality(String) CODEC(ZSTD(1))
) ENGINE = MergeTree
ORDER BY (trace_id, link)
TTL arrived + INTERVAL 2 HOUR
SETTINGS non_replicated_deduplication_window = 1000, auto_statistics_types = '', merge_selector_base = 10,
    enable_vertical_merge_algorithm = 0;

-- Pairs are looked for by numbers: their states are smaller than those of words.
CREATE FUNCTION IF NOT EXISTS meshscope_code AS word -> if(word = '', 0, cityHash64(word));

CREATE MATERIALIZED VIEW IF NOT EXISTS typed_spans_to_half_edges TO half_edges AS
WITH
    kind IN ('client', 'producer') AS is_client,
    reinterpretAsUInt64(substring(ids, 1, 8)) AS own,
    reinterpretAsUInt64(substring(ids, 9, 8)) AS parent
SELECT
    trace_id,
    if(is_client, own, parent) AS link,
    if(is_client, 'client', 'server') AS side,
    if(is_client, parent, own) AS other,
    now() AS arrived,
    toDateTime(ts) AS ts,
    service,
    version,
    toString(hop) AS hop,
    duration_ns,
    error,
    resend,
    peer,
    peer_version,
    upstream_cluster AS cluster,
    upstream_address AS address
FROM typed_spans
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
    source LowCardinality(String) CODEC(ZSTD(1)),
    destination LowCardinality(String) CODEC(ZSTD(1)),
    source_version LowCardinality(String) CODEC(ZSTD(1)),
    destination_version LowCardinality(String) CODEC(ZSTD(1)),
    calls UInt64 CODEC(T64, ZSTD(1)),
    errors UInt64 CODEC(T64, ZSTD(1)),
    retries UInt64 CODEC(T64, ZSTD(1)),
    paired UInt64 CODEC(T64, ZSTD(1)),
    duration_ns UInt64 CODEC(T64, ZSTD(1)),
    latency AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), UInt64) CODEC(ZSTD(1)),
    -- A call on its way: as the caller saw it, the caller's proxy, the callee's proxy, the callee. Sums, and how many were seen.
    hop_ns Array(UInt64) CODEC(ZSTD(1)),
    hop_calls Array(UInt64) CODEC(ZSTD(1)),
    slowest_ns UInt64 CODEC(T64, ZSTD(1)),
    slowest_trace FixedString(16) CODEC(ZSTD(1)),
    failed_trace FixedString(16) CODEC(ZSTD(1)),
    computed DateTime64(3)
) ENGINE = ReplacingMergeTree(computed)
PARTITION BY toDate(minute)
ORDER BY (minute, source, destination, source_version, destination_version)
TTL minute + INTERVAL 7 DAY
SETTINGS ttl_only_drop_parts = 1, auto_statistics_types = '', index_granularity = 64;
