-- Since when there is data: exactly, as long as the first spans are kept; else to the ten seconds of the rollup.
SELECT if(first_bucket IS NULL, NULL, greatest(toUnixTimestamp64Nano(toDateTime64(first_bucket, 9)),
    least(ifNull(first_span, toUnixTimestamp64Nano(toDateTime64(first_bucket, 9))),
        toUnixTimestamp64Nano(toDateTime64(first_bucket, 9)) + 10000000000))) AS first_ns
FROM (
    SELECT
        (SELECT minOrNull(ts) FROM golden_signals_10s) AS first_bucket,
        (SELECT toUnixTimestamp64Nano(minOrNull(ts)) FROM spans) AS first_span
)
