-- What a rule measures of an edge, or of each edge ('*' on either side): one row for each that had calls.
-- Minutes that overlap [start, end] count whole; the rate is over the time they cover.
WITH toStartOfMinute(toDateTime({start:UInt32})) AS since
SELECT
    source,
    destination,
    total / greatest({end:UInt32} - toUnixTimestamp(since), 1) AS rate,
    failed / total AS error_rate,
    latencies[1] / 1e6 AS p50_ms,
    latencies[2] / 1e6 AS p95_ms,
    latencies[3] / 1e6 AS p99_ms
FROM (
    SELECT
        source,
        destination,
        sum(calls) AS total,
        sum(errors) AS failed,
        quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency) AS latencies
    FROM edges_1m FINAL
    WHERE minute >= since AND minute <= toDateTime({end:UInt32}) AND calls > 0
        AND ({source:String} = '*' OR source = {source:String})
        AND ({destination:String} = '*' OR destination = {destination:String})
    GROUP BY source, destination
)
ORDER BY source, destination
