-- Keeps those of a slice's traces that have a span which one rule fits. What has a column of its own is found under its
-- semantic convention.
INSERT INTO kept_traces
SELECT DISTINCT toDateTime({slice:UInt32}) AS slice, trace_id, 4 AS why
FROM spans
LEFT JOIN (SELECT id, any(resources.attributes[{key:String}]) AS text FROM resources GROUP BY id) AS told ON spans.resource_id = told.id
WHERE ts >= toDateTime64({slice:UInt32}, 9) AND ts < toDateTime64({slice:UInt32} + {length:UInt32}, 9)
    AND cityHash64(trace_id) % {buckets:UInt32} = {bucket:UInt32}
    AND ({service:String} = '' OR service = {service:String})
    AND ({route:String} = '' OR if(http_route != '', http_route, name) = {route:String})
    AND duration_ns >= {min_ns:UInt64}
    AND ({key:String} = '' OR {value:String} = multiIf(
        {key:String} = 'http.request.method', toString(http_method),
        {key:String} = 'http.route', toString(http_route),
        {key:String} = 'http.response.status_code', toString(http_status),
        {key:String} = 'peer.service', toString(peer),
        {key:String} = 'peer.version', toString(peer_version),
        {key:String} = 'upstream_cluster.name', toString(upstream_cluster),
        {key:String} = 'response_flags', toString(response_flags),
        {key:String} = 'service.version', toString(version),
        mapContains(attributes, {key:String}), attributes[{key:String}],
        told.text))
