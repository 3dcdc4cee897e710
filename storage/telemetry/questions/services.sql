-- The services that took requests, busiest first, each by its best witness: its inbound proxy, else itself, else a proxy.
SELECT
    name,
    versions,
    best.1 / {seconds:Float64} AS rate,
    best.2 / best.1 AS error_rate,
    best.3[1] / 1e6 AS p50_ms,
    best.3[2] / 1e6 AS p95_ms,
    best.3[3] / 1e6 AS p99_ms,
    last_seen
FROM (
    SELECT
        service AS name,
        arraySort(arrayFilter(v -> v != '', groupUniqArrayArray(seen_versions))) AS versions,
        argMin((calls, errors, ns), witness) AS best,
        max(last) AS last_seen
    FROM (
        SELECT
            service,
            multiIf(hop = 'inbound', 1, hop = 'app', 2, 3) AS witness,
            groupUniqArray(g.version) AS seen_versions,
            sum(g.calls) AS calls,
            sum(g.errors) AS errors,
            quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(g.latency) AS ns,
            max(g.ts) AS last
        FROM {rollup:Identifier} AS g
        WHERE g.ts >= toDateTime({from_s:UInt32}) AND g.ts < toDateTime({to_s:UInt32})
        GROUP BY service, hop
    )
    GROUP BY service
)
ORDER BY best.1 DESC, name
LIMIT {limit:UInt32}
