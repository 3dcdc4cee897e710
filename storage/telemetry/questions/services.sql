-- The services that took requests, as each of their witnesses saw it, busiest first. Sums and states only (see
-- golden_signals_totals.sql).
SELECT
    service,
    hop,
    groupUniqArray(version) AS versions,
    sum(calls) AS calls,
    sum(errors) AS errors,
    quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency) AS ns,
    toUnixTimestamp(max(g.ts)) AS last_s
FROM {rollup:Identifier} AS g
PREWHERE ts >= toDateTime({from_s:UInt32}) AND ts < toDateTime({to_s:UInt32})
GROUP BY service, hop
ORDER BY calls DESC, service, hop
LIMIT {limit:UInt32}
