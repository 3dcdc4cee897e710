-- What was written since {since}, as parts: what arrives is bounded whatever time it speaks of. Parts of more than {largest} rows
-- are merged from older ones: what is new in them was seen before, or is seen when more of it comes.
-- loaded: whether the sets were filled in these ten minutes (see load_crowded.sql): they are not on the disk, and what is no longer
-- in force must leave them.
SELECT
    toUnixTimestamp(now()) AS now,
    concat('\0', toString(toStartOfInterval(now(), INTERVAL 10 MINUTE))) IN crowded_services AS loaded,
    groupArrayIf(name, table = 'golden_signals_10s') AS rollups,
    groupArrayIf(name, table = 'trace_index') AS traces,
    groupArrayIf(name, table = 'spans') AS spans
FROM system.parts
WHERE database = currentDatabase() AND active AND table IN ('golden_signals_10s', 'trace_index', 'spans')
    AND modification_time >= toDateTime({since:UInt32}) AND rows <= {largest:UInt64}
