-- The spans of one trace, by start, as they are stored: plain columns, for planning weighs more than reading here.
SELECT
    lower(hex(substring(s.ids, 1, 8))) AS span_id,
    lower(hex(substring(s.ids, 9, 8))) AS parent_id,
    s.service AS service,
    s.version AS version,
    toString(s.hop) AS hop,
    s.name AS name,
    toString(s.kind) AS kind,
    s.ts AS start,
    toUnixTimestamp64Nano(s.ts) - {start_ns:Int64} AS offset_ns,
    s.duration_ns AS duration_ns,
    s.error AS error,
    s.status_message AS status_message,
    s.trace_state AS trace_state,
    s.http_method AS http_method,
    s.http_route AS http_route,
    s.http_status AS http_status,
    s.url_path AS url_path,
    s.client_address AS client_address,
    s.peer AS peer,
    s.peer_version AS peer_version,
    s.upstream_cluster AS upstream_cluster,
    s.upstream_address AS upstream_address,
    s.response_flags AS response_flags,
    s.resend AS resend,
    -- Bytes are no text: what is nested goes as base64.
    mapApply((k, v) -> (toString(k), if(startsWith(v, '\0'), concat('\0', base64Encode(substring(v, 2))), v)), s.attributes) AS attributes,
    s.resource_id AS resource_id,
    arrayMap(e -> base64Encode(e), s.events) AS events,
    arrayMap(l -> base64Encode(l), s.links) AS links
FROM spans AS s
WHERE s.trace_id = toFixedString(unhex({trace_id:String}), 16)
    -- The table's order, word for word: that times mean it, it does not see.
    AND toStartOfInterval(s.ts, INTERVAL 10 SECOND) >= toStartOfInterval(fromUnixTimestamp64Nano({start_ns:Int64}), INTERVAL 10 SECOND)
    AND toStartOfInterval(s.ts, INTERVAL 10 SECOND) <= toStartOfInterval(fromUnixTimestamp64Nano({end_ns:Int64}), INTERVAL 10 SECOND)
ORDER BY s.ts, s.ids
LIMIT {limit:UInt32}
