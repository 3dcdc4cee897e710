-- How much of a window was thinned; hours that the window overlaps count whole.
SELECT
    toUnixTimestamp(max(t.slice)) + 3600 AS until_s,
    sum(t.traces_seen) AS traces_seen,
    sum(t.traces_kept) AS traces_kept,
    sum(t.spans_seen) AS spans_seen,
    sum(t.spans_kept) AS spans_kept
FROM thinned_slices AS t FINAL
WHERE t.slice > fromUnixTimestamp64Nano({start_ns:Int64}) - INTERVAL 1 HOUR AND t.slice < fromUnixTimestamp64Nano({end_ns:Int64})
    AND t.traces_seen > 0
HAVING traces_kept < traces_seen OR spans_kept < spans_seen
