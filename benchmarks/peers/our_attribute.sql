-- The newest spans with an attribute.
SELECT leftPad(lower(hex(span_id)), 16, '0') AS span_id, ts, duration_ns
FROM spans
WHERE attributes[{key:String}] = {value:String} AND ts >= toDateTime({from_s:UInt32}) AND ts < toDateTime({to_s:UInt32})
ORDER BY ts DESC
LIMIT 100
