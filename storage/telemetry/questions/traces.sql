-- Traces with a span that fits, newest first. Durations are the traces' own; they are known to the index only.
-- sure_from_ns: leave out what started before; when only the end of a window is looked at, newer ones may be missing there.
SELECT
    lower(hex(i.trace_id)) AS trace_id,
    toUnixTimestamp64Nano(min(i.start)) AS start_ns,
    toUnixTimestamp64Nano(max(i.end)) - start_ns AS duration_ns,
    max(i.root_service) AS root_service,
    max(i.root_name) AS root_name,
    groupUniqArrayArray(i.services) AS services,
    sum(i.spans) AS spans,
    sum(i.errors) AS errors
FROM trace_index AS i
WHERE i.trace_id IN (
    SELECT s.trace_id
    FROM spans AS s
    WHERE s.ts >= fromUnixTimestamp64Nano({start_ns:Int64}) AND s.ts < fromUnixTimestamp64Nano({end_ns:Int64})
        AND s.service = {service:String} -- when service
        AND s.version = {version:String} -- when version
        AND (s.http_route = {route:String} OR (s.http_route = '' AND s.name = {route:String})) -- when route
        AND s.error -- when error
        -- An attribute that has a column of its own.
        AND s.{column:Identifier} = {value:String} -- when column
        AND toString(s.http_status) = {value:String} -- when http_status
        -- That a value is among a span's values is said besides, for that is what there is an index of.
        AND has(mapValues(s.attributes), {value:String}) AND s.attributes[{attribute:String}] = {value:String} -- when attribute
        -- What says who sent it.
        AND s.resource_id IN (SELECT id FROM resources WHERE resources.attributes[{attribute:String}] = {value:String}) -- when sender
)
GROUP BY i.trace_id
HAVING start_ns >= {sure_from_ns:Int64}
    AND duration_ns >= {min_ns:UInt64} AND duration_ns <= {max_ns:UInt64} -- when duration
    AND errors = 0 -- when unfailed
ORDER BY start_ns DESC, trace_id
LIMIT {limit:UInt32}
