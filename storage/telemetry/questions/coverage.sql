-- The first row of each rollup, and the first span; null where there is none. Parts know their `min`, so that no row is read;
-- they do not know `minOrNull`.
SELECT
    nullIf((SELECT toUnixTimestamp(min(ts)) FROM golden_signals_1h), 0) AS hours_s,
    nullIf((SELECT toUnixTimestamp(min(ts)) FROM golden_signals_1m), 0) AS minutes_s,
    nullIf((SELECT toUnixTimestamp(min(ts)) FROM golden_signals_10s), 0) AS ten_seconds_s,
    nullIf((SELECT toUnixTimestamp64Nano(min(ts)) FROM spans), 0) AS span_ns
