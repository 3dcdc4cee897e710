-- What is called but sends no spans of its own, as its callers see it.
SELECT
    toString(r.destination) AS id,
    arraySort(arrayFilter(v -> v != '', groupUniqArray(toString(r.destination_version)))) AS versions,
    sum(r.calls) / {seconds:Float64} AS rate,
    sum(r.errors) / sum(r.calls) AS error_rate,
    quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(r.latency) AS ns,
    ns[1] / 1e6 AS p50_ms,
    ns[2] / 1e6 AS p95_ms,
    ns[3] / 1e6 AS p99_ms
FROM edges_1m AS r FINAL
WHERE r.minute >= toDateTime({from_s:UInt32}) AND r.minute < toDateTime({to_s:UInt32}) AND r.calls > 0
    AND r.destination NOT IN (
        SELECT service FROM {rollup:Identifier} WHERE ts >= toDateTime({from_s:UInt32}) AND ts < toDateTime({to_s:UInt32})
    )
GROUP BY id
ORDER BY rate DESC, id
LIMIT {limit:UInt32}
