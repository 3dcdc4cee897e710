-- One service's golden signals over a window, for each of its witnesses (see services.sql), the best first; of each the busiest
-- groups first. All witnesses at once, for planning a question in a question costs more than the rows of another witness.
SELECT
    toString(g.hop) AS hop,
    multiIf({by:String} = 'version', toString(g.version), {by:String} = 'route', toString(g.route), {by:String} = 'zone', toString(g.zone), '') AS group,
    sum(g.calls) AS calls,
    sum(g.errors) AS errors,
    quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(g.latency) AS ns,
    calls / {seconds:Float64} AS rate,
    errors / calls AS error_rate,
    ns[1] / 1e6 AS p50_ms,
    ns[2] / 1e6 AS p95_ms,
    ns[3] / 1e6 AS p99_ms,
    nullIf(lower(hex(argMaxMerge(g.slowest))), repeat('0', 32)) AS slowest_trace,
    nullIf(lower(hex(argMaxIf(g.failed, g.ts, notEmpty(g.failed)))), repeat('0', 32)) AS failed_trace
FROM {rollup:Identifier} AS g
WHERE g.service = {service:String} AND g.ts >= toDateTime({from_s:UInt32}) AND g.ts < toDateTime({to_s:UInt32})
GROUP BY hop, group
ORDER BY indexOf(['inbound', 'app'], hop) = 0, indexOf(['inbound', 'app'], hop), calls DESC, group
LIMIT {limit:UInt32} BY hop
