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
        AND ({service:String} = '' OR s.service = {service:String})
        AND ({version:String} = '' OR s.version = {version:String})
        AND ({route:String} = '' OR s.http_route = {route:String} OR (s.http_route = '' AND s.name = {route:String}))
        AND ({error:String} != 'true' OR s.error)
        -- What has a column of its own is found under its semantic convention. Not one multiIf: only what is ANDed and ORed is looked
        -- up in indexes. That a value is among a span's values is said besides, for that is what there is an index of.
        AND (
            {attribute:String} = ''
            OR ({attribute:String} = 'url.path' AND s.url_path = {value:String})
            OR ({attribute:String} = 'client.address' AND s.client_address = {value:String})
            OR ({attribute:String} = 'http.request.method' AND s.http_method = {value:String})
            OR ({attribute:String} = 'http.route' AND s.http_route = {value:String})
            OR ({attribute:String} = 'http.response.status_code' AND toString(s.http_status) = {value:String})
            OR ({attribute:String} = 'peer.service' AND s.peer = {value:String})
            OR ({attribute:String} = 'peer.version' AND s.peer_version = {value:String})
            OR ({attribute:String} = 'upstream_cluster.name' AND s.upstream_cluster = {value:String})
            OR ({attribute:String} = 'response_flags' AND s.response_flags = {value:String})
            -- What says who sent it.
            OR ({attribute:String} IN ('service.instance.id', 'cloud.availability_zone', 'mesh.name', 'mesh.virtual_node')
                AND s.resource_id IN (SELECT id FROM resources WHERE resources.attributes[{attribute:String}] = {value:String}))
            OR ({attribute:String} NOT IN ('url.path', 'client.address', 'http.request.method', 'http.route',
                    'http.response.status_code', 'peer.service', 'peer.version', 'upstream_cluster.name', 'response_flags',
                    'service.instance.id', 'cloud.availability_zone', 'mesh.name', 'mesh.virtual_node')
                AND has(mapValues(s.attributes), {value:String}) AND s.attributes[{attribute:String}] = {value:String}))
)
GROUP BY i.trace_id
HAVING toUnixTimestamp64Nano(started) >= {sure_from_ns:Int64}
    AND duration_ns >= {min_ns:UInt64} AND duration_ns <= {max_ns:UInt64} AND ({error:String} != 'false' OR errors = 0)
ORDER BY started DESC, trace_id
LIMIT {limit:UInt32}
