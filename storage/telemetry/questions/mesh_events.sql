-- What proxies decided or were told, newest first.
SELECT
    e.ts AS ts,
    e.mesh AS mesh,
    e.source AS source,
    e.destination AS destination,
    e.endpoint AS endpoint,
    e.target AS target,
    e.instance AS instance,
    e.type AS type,
    e.action AS action,
    e.enforced AS enforced,
    e.reason AS reason,
    CAST(e.numbers, 'Map(String, Float64)') AS numbers,
    if(e.trace_id = toFixedString('', 16), NULL, lower(hex(e.trace_id))) AS trace_id
FROM mesh_events AS e
WHERE e.ts >= fromUnixTimestamp64Nano({start_ns:Int64}) AND e.ts < fromUnixTimestamp64Nano({end_ns:Int64})
    AND ({type:String} = '' OR e.type = {type:String})
    AND ({action:String} = '' OR e.action = {action:String})
    AND ({source:String} = '' OR e.source = {source:String})
    AND ({destination:String} = '' OR e.destination = {destination:String})
ORDER BY e.ts DESC, e.type, e.source, e.destination, e.endpoint, e.action
LIMIT {limit:UInt32}
