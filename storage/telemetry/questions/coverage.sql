-- The first row of each rollup, and the first span; null where there is none. Parts know theirs: no row is read.
SELECT
    (SELECT toUnixTimestamp(minOrNull(ts)) FROM golden_signals_1h) AS hours_s,
    (SELECT toUnixTimestamp(minOrNull(ts)) FROM golden_signals_1m) AS minutes_s,
    (SELECT toUnixTimestamp(minOrNull(ts)) FROM golden_signals_10s) AS ten_seconds_s,
    (SELECT toUnixTimestamp64Nano(minOrNull(ts)) FROM spans) AS span_ns
