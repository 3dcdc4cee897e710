-- Sampling with hindsight: which traces are kept long, and how far that has been decided. Verdicts are found by hours (slices)
-- of the time at which spans start.

-- One row for each trace that is kept and each slice in which something spoke for it.
-- why: 1 = it erred, 2 = it was slow for its route, 4 = it matches a rule, 8 = it fell in the random share; added up.
CREATE TABLE IF NOT EXISTS kept_traces (
    slice DateTime CODEC(DoubleDelta, ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    why SimpleAggregateFunction(groupBitOr, UInt8)
) ENGINE = AggregatingMergeTree
PARTITION BY toDate(slice)
ORDER BY (slice, trace_id)
TTL slice + INTERVAL 7 DAY
SETTINGS ttl_only_drop_parts = 1;

-- What became of each slice; the newest row counts. spans_judged: how many spans it had when its traces were last judged, and
-- after a sweep how many were left; more than that are late spans.
CREATE TABLE IF NOT EXISTS thinned_slices (
    slice DateTime,
    spans_judged UInt64,
    swept Bool,
    spans_seen UInt64,
    traces_seen UInt64,
    spans_kept UInt64,
    traces_kept UInt64,
    written DateTime64(6)
) ENGINE = ReplacingMergeTree(written)
PARTITION BY toDate(slice)
ORDER BY slice
TTL slice + INTERVAL 7 DAY
SETTINGS ttl_only_drop_parts = 1;
