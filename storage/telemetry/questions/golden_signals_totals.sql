-- One service's golden signals over a window, for each of its witnesses (see query_api/signals.py), and of each for its busiest
-- groups: {by} is the column that makes them. All witnesses at once, for planning a question in a question costs more than the rows
-- of another witness. Sums and states only: an expression costs more to plan than these rows to read, so that rates are made of them
-- afterwards.
SELECT
    hop,
    {by:Identifier} AS group, -- when grouped
    sum(calls) AS calls,
    sum(errors) AS errors,
    quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency) AS ns,
    argMaxMerge(slowest) AS slowest,
    argMaxIf(failed, ts, notEmpty(failed)) AS failed
FROM {rollup:Identifier}
PREWHERE service = {service:String} AND ts >= toDateTime({from_s:UInt32}) AND ts < toDateTime({to_s:UInt32})
GROUP BY hop
    , group -- when grouped
ORDER BY calls DESC, group LIMIT {limit:UInt32} BY hop -- when grouped
