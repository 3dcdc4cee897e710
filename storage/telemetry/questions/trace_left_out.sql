-- Of a trace that has fewer spans than came: how many it had when it was full (0 if it never was), and how many are stored now.
SELECT max(o.spans) AS full_at, (
    SELECT count() FROM spans
    PREWHERE trace_id = toFixedString(unhex({trace_id:String}), 16)
        AND ts >= fromUnixTimestamp64Nano({start_ns:Int64}) AND ts <= fromUnixTimestamp64Nano({end_ns:Int64})
) AS stored
FROM overgrown_traces AS o
WHERE o.trace_id = toFixedString(unhex({trace_id:String}), 16)
