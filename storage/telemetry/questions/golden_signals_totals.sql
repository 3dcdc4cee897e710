-- One service's golden signals over a window, for each of its witnesses (see services.sql); of each the busiest groups first.
-- {by} is the column that makes groups; by `hop` each witness is one. All witnesses at once, for planning a question in a question
-- costs more than the rows of another witness. Sums and states only: each expression costs more to plan than these rows to read,
-- so that rates are made of them afterwards.
SELECT
    hop,
    {by:Identifier} AS group,
    sum(calls) AS calls,
    sum(errors) AS errors,
    quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency) AS ns,
    argMaxMerge(slowest) AS slowest,
    argMaxIf(failed, ts, notEmpty(failed)) AS failed
FROM {rollup:Identifier}
PREWHERE service = {service:String} AND ts >= toDateTime({from_s:UInt32}) AND ts < toDateTime({to_s:UInt32})
GROUP BY hop, group
ORDER BY calls DESC, group
LIMIT {limit:UInt32} BY hop
