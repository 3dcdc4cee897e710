-- The minutes that telemetry arrived for since {since}.
--
-- Only those whose halves are all still kept: one sender with a slow clock would else replace what was found hours ago by the
-- little that it sends.
SELECT DISTINCT toUnixTimestamp(toStartOfMinute(ts)) AS minute
FROM half_edges
WHERE ts > now() - {whole:UInt32} AND trace_id IN (SELECT trace_id FROM half_edges WHERE arrived >= {since:DateTime})
