-- Removes the spans of a slice whose traces are not kept. A span that erred stays in any case: if it is there, it came after
-- its trace was judged, and speaks for it.
DELETE FROM spans
WHERE ts >= toDateTime64({slice:UInt32}, 9) AND ts < toDateTime64({slice:UInt32} + {length:UInt32}, 9)
    AND NOT error
    AND cityHash64(trace_id) % {buckets:UInt32} = {bucket:UInt32}
    AND trace_id NOT IN (
        SELECT trace_id FROM kept_traces
        WHERE slice >= toDateTime({slice:UInt32} - {reach:UInt32}) AND slice <= toDateTime({slice:UInt32} + {reach:UInt32})
            AND cityHash64(trace_id) % {buckets:UInt32} = {bucket:UInt32}
    )
SETTINGS lightweight_deletes_sync = 0
