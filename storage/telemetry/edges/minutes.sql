-- The minutes that telemetry arrived for since {since}, as many together as have {at_once} halves, or one that has more.
--
-- Only those whose halves are all still kept: one sender with a slow clock would else replace what was found hours ago by the
-- little that it sends.
SELECT groupArray(minute) AS minutes
FROM (
    SELECT minute, intDiv(sum(halves) OVER (ORDER BY minute), {at_once:UInt64}) AS batch
    FROM (
        SELECT toUnixTimestamp(toStartOfMinute(ts)) AS minute, count() AS halves
        FROM half_edges
        WHERE ts > now() - {whole:UInt32}
        GROUP BY minute
        HAVING max(trace_id IN (SELECT trace_id FROM half_edges WHERE arrived >= {since:DateTime}))
    )
)
GROUP BY batch
ORDER BY batch
