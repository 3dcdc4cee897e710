-- One service's golden signals over a window, busiest group first, by its best witness (see services.sql).
WITH (
    SELECT argMin(hop, multiIf(hop = 'inbound', 1, hop = 'app', 2, 3))
    FROM golden_signals_10s
    WHERE service = {service:String} AND ts >= toDateTime({from_s:UInt32}) AND ts < toDateTime({to_s:UInt32})
) AS witness
SELECT
    multiIf({by:String} = 'version', toString(g.version), {by:String} = 'route', toString(g.route), '') AS group,
    sum(g.calls) AS calls,
    sum(g.errors) AS errors,
    quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(g.latency) AS ns,
    calls / {seconds:Float64} AS rate,
    errors / calls AS error_rate,
    ns[1] / 1e6 AS p50_ms,
    ns[2] / 1e6 AS p95_ms,
    ns[3] / 1e6 AS p99_ms
FROM golden_signals_10s AS g
WHERE g.service = {service:String} AND g.ts >= toDateTime({from_s:UInt32}) AND g.ts < toDateTime({to_s:UInt32}) AND g.hop = witness
GROUP BY group
ORDER BY calls DESC, group
LIMIT {limit:UInt32}
