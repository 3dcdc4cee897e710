-- The same (see golden_signals_totals.sql) for some groups and one witness, step by step.
SELECT
    {by:Identifier} AS group, -- when grouped
    intDiv(toUnixTimestamp(ts), {step:UInt32}) * {step:UInt32} AS t_s,
    sum(calls) AS calls,
    sum(errors) AS errors,
    sum(duration_ns) AS spent_ns,
    quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency) AS ns
FROM {rollup:Identifier}
PREWHERE service = {service:String} AND ts >= toDateTime({from_s:UInt32}) AND ts < toDateTime({to_s:UInt32}) AND hop = {hop:String}
WHERE group IN {groups:Array(String)} -- when grouped
GROUP BY t_s
    , group -- when grouped
