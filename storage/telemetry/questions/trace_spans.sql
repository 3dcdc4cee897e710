-- The spans of one trace, by start, as they are stored: plain columns, for planning weighs more than reading here.
SELECT
    ids,
    service,
    version,
    hop,
    name,
    kind,
    toUnixTimestamp64Nano(ts) AS start_ns,
    duration_ns,
    error,
    status_message,
    trace_state,
    http_method,
    http_route,
    http_status,
    url_path,
    client_address,
    peer,
    peer_version,
    upstream_cluster,
    upstream_address,
    response_flags,
    resend,
    mapKeys(attributes) AS keys,
    -- Bytes are no text: what is nested goes as base64.
    arrayMap(v -> if(startsWith(v, '\0'), concat('\0', base64Encode(substring(v, 2))), v), mapValues(attributes)) AS texts,
    resource_id,
    arrayMap(e -> base64Encode(e), events) AS events,
    arrayMap(l -> base64Encode(l), links) AS links
FROM spans
PREWHERE trace_id = toFixedString(unhex({trace_id:String}), 16)
    AND ts >= fromUnixTimestamp64Nano({start_ns:Int64}) AND ts <= fromUnixTimestamp64Nano({end_ns:Int64})
ORDER BY ts, ids
LIMIT {limit:UInt32}
