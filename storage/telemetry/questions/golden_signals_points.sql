-- The same (see golden_signals_totals.sql) for some groups and one witness, step by step. A step counts the seconds of it that are
-- covered; in_flight is Little's law: the time spent in requests, over the time that passed.
SELECT
    group,
    t_s,
    calls / covered AS rate,
    errors / calls AS error_rate,
    ns[1] / 1e6 AS p50_ms,
    ns[2] / 1e6 AS p95_ms,
    ns[3] / 1e6 AS p99_ms,
    spent / 1e9 / covered AS in_flight
FROM (
    SELECT
        multiIf({by:String} = 'version', toString(g.version), {by:String} = 'route', toString(g.route), {by:String} = 'zone', toString(g.zone), '') AS group,
        intDiv(toUnixTimestamp(g.ts), {step:UInt32}) * {step:UInt32} AS t_s,
        greatest(1, least(toFloat64(t_s + {step:UInt32}), {until:Float64}) - greatest(toFloat64(t_s), {since:Float64})) AS covered,
        sum(g.calls) AS calls,
        sum(g.errors) AS errors,
        sum(g.duration_ns) AS spent,
        quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(g.latency) AS ns
    FROM {rollup:Identifier} AS g
    WHERE g.service = {service:String} AND g.ts >= toDateTime({from_s:UInt32}) AND g.ts < toDateTime({to_s:UInt32})
        AND g.hop = {hop:String} AND group IN {groups:Array(String)}
    GROUP BY group, t_s
)
ORDER BY group, t_s
