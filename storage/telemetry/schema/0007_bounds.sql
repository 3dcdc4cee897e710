-- Bounds on what one service or one trace can make of the store. Which names and which traces are in force at a node stands in
-- the tables of kind Set beside the views that ask them (0001, 0002); what they are filled from stands here.

-- The operations that a service has a place for, and when they were last seen: what was not called for a day gives up its place.
CREATE TABLE IF NOT EXISTS operations (
    service String,
    route String,
    seen DateTime
) ENGINE = ReplacingMergeTree(seen)
ORDER BY (service, route)
TTL seen + toIntervalHour(24)
SETTINGS auto_statistics_types = '';

-- Traces that have grown beyond the bound, and how many spans they had when that was seen.
CREATE TABLE IF NOT EXISTS overgrown_traces (
    trace_id FixedString(16),
    spans UInt64,
    found DateTime
) ENGINE = ReplacingMergeTree
ORDER BY trace_id
TTL found + INTERVAL 7 DAY
SETTINGS auto_statistics_types = '';
