-- Traces with a span that fits, newest first. Durations are the traces' own; they are known to the index only.
-- sure_from_ns: leave out what started before; when only the end of a window is looked at, newer ones may be missing there.
SELECT
    lower(hex(i.trace_id)) AS trace_id,
    min(i.start) AS started,
    (toUnixTimestamp64Nano(max(i.end)) - toUnixTimestamp64Nano(started)) AS duration_ns,
    duration_ns / 1e6 AS duration_ms,
    max(i.root_service) AS root_service,
    max(i.root_name) AS root_name,
    arraySort(groupUniqArrayArray(i.services)) AS services,
    sum(i.spans) AS spans,
    sum(i.errors) AS errors
FROM trace_index AS i
WHERE i.trace_id IN (
    SELECT s.trace_id
    FROM spans AS s
    WHERE s.ts >= fromUnixTimestamp64Nano({start_ns:Int64}) AND s.ts < fromUnixTimestamp64Nano({end_ns:Int64})
        -- The table's order, word for word: that the line above means it, it does not see.
        AND toStartOfInterval(s.ts, INTERVAL 10 SECOND) >= toStartOfInterval(fromUnixTimestamp64Nano({start_ns:Int64}), INTERVAL 10 SECOND)
        AND toStartOfInterval(s.ts, INTERVAL 10 SECOND) <= toStartOfInterval(fromUnixTimestamp64Nano({end_ns:Int64}), INTERVAL 10 SECOND)
        AND ({service:String} = '' OR s.service = {service:String})
        AND ({version:String} = '' OR s.version = {version:String})
        AND ({route:String} = '' OR s.http_route = {route:String} OR (s.http_route = '' AND s.name = {route:String}))
        AND ({error:String} != 'true' OR s.error)
)
GROUP BY i.trace_id
HAVING toUnixTimestamp64Nano(started) >= {sure_from_ns:Int64}
    AND duration_ns >= {min_ns:UInt64} AND duration_ns <= {max_ns:UInt64} AND ({error:String} != 'false' OR errors = 0)
ORDER BY started DESC, trace_id
LIMIT {limit:UInt32}
