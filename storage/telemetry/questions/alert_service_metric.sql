-- What a rule measures of a service, or of each service ('*'): one row for each that had calls.
-- Buckets of 10 s that overlap [start, end] count whole; the rate is over the time they cover.
-- A call that proxy and application both saw counts once: per service the best hop that has rows.
WITH toStartOfInterval(toDateTime({start:UInt32}), INTERVAL 10 SECOND) AS since
SELECT
    service,
    total / greatest({end:UInt32} - toUnixTimestamp(since), 1) AS rate,
    failed / total AS error_rate,
    latencies[1] / 1e6 AS p50_ms,
    latencies[2] / 1e6 AS p95_ms,
    latencies[3] / 1e6 AS p99_ms
FROM (
    SELECT
        service,
        hop,
        sum(calls) AS total,
        sum(errors) AS failed,
        quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency) AS latencies
    FROM golden_signals_10s
    WHERE ts >= since AND ts <= toDateTime({end:UInt32})
        AND ({service:String} = '*' OR service = {service:String})
    GROUP BY service, hop
    HAVING total > 0
)
ORDER BY service, indexOf(['inbound', 'app', 'proxy'], toString(hop))
LIMIT 1 BY service
