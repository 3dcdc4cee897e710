-- Which attributes there are, by day, service, and whether spans or their resource bear them; of the spans that were looked at.
-- The row without a name counts these spans; `__other__` is what a service has beyond the bound on names.
-- reads_as: 1 = text, 2 = number, 4 = boolean, 8 = array, key-value list or bytes; added up.
CREATE TABLE IF NOT EXISTS attribute_names (
    day Date,
    service String,
    scope Enum8('span' = 0, 'resource' = 1),
    name String CODEC(ZSTD(1)),
    spans SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    last_seen SimpleAggregateFunction(max, DateTime),
    reads_as SimpleAggregateFunction(groupBitOr, UInt8),
    samples SimpleAggregateFunction(groupUniqArrayArray(10), Array(String)) CODEC(ZSTD(1))
) ENGINE = AggregatingMergeTree
PARTITION BY day
ORDER BY (service, scope, name, day)
TTL day + INTERVAL 7 DAY
SETTINGS ttl_only_drop_parts = 1, auto_statistics_types = '';

-- Of what kind a value is, as far as its text tells: the type that it was sent with is not kept.
CREATE FUNCTION IF NOT EXISTS meshscope_reads_as AS v -> multiIf(
    startsWith(v, '\0'), 8, v IN ('true', 'false'), 4, isNotNull(toFloat64OrNull(v)), 2, 1);
