-- The spans of one trace, by start. What has a column of its own is put back under its semantic convention.
SELECT
    leftPad(lower(hex(s.span_id)), 16, '0') AS span_id,
    if(s.parent_id = 0, NULL, leftPad(lower(hex(s.parent_id)), 16, '0')) AS parent_id,
    s.service AS service,
    s.version AS version,
    s.node AS node,
    toString(s.hop) AS hop,
    s.name AS name,
    toString(s.kind) AS kind,
    s.ts AS start,
    (toUnixTimestamp64Nano(s.ts) - {start_ns:Int64}) / 1e6 AS offset_ms,
    s.duration_ns / 1e6 AS duration_ms,
    s.error AS error,
    s.status_message AS status_message,
    mapUpdate(
        -- Bytes are no text: what is nested goes as base64.
        mapApply((k, v) -> (toString(k), if(startsWith(v, '\0'), concat('\0', base64Encode(substring(v, 2))), v)), s.attributes),
        mapFilter((k, v) -> v != '', map(
            'http.request.method', toString(s.http_method),
            'http.route', toString(s.http_route),
            'http.response.status_code', if(s.http_status = 0, '', toString(s.http_status)),
            'peer.service', if(s.peer IN (s.attributes['db.system.name'], s.attributes['db.system'], s.attributes['messaging.system']),
                '', toString(s.peer)),
            'peer.version', toString(s.peer_version),
            'upstream_cluster.name', toString(s.upstream_cluster),
            'response_flags', toString(s.response_flags),
            'http.request.resend_count', if(s.resend = 0, '', toString(s.resend))))) AS attributes,
    s.resource_id AS resource_id,
    s.trace_state AS trace_state,
    arrayMap(e -> (
        (toUnixTimestamp64Nano(e.ts) - {start_ns:Int64}) / 1e6, toString(e.name),
        mapApply((k, v) -> (toString(k), base64Encode(v)), e.attributes)), s.events) AS events,
    arrayMap(l -> (
        lower(hex(l.trace_id)), lower(hex(l.span_id)), l.trace_state,
        mapApply((k, v) -> (toString(k), base64Encode(v)), l.attributes)), s.links) AS links
FROM spans AS s
WHERE s.trace_id = toFixedString(unhex({trace_id:String}), 16)
    AND s.service IN {services:Array(String)}
    AND s.ts >= fromUnixTimestamp64Nano({start_ns:Int64}) AND s.ts <= fromUnixTimestamp64Nano({end_ns:Int64})
ORDER BY s.ts, s.span_id
LIMIT {limit:UInt32}
