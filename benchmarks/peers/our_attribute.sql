-- The newest spans with an attribute, found as the query API finds their traces.
SELECT leftPad(lower(hex(span_id)), 16, '0') AS span_id, ts, duration_ns
FROM spans
WHERE (({key:String} = 'url.path' AND url_path = {value:String})
        OR ({key:String} = 'client.address' AND client_address = {value:String})
        OR ({key:String} NOT IN ('url.path', 'client.address')
            AND has(mapValues(attributes), {value:String}) AND attributes[{key:String}] = {value:String}))
    AND ts >= toDateTime({from_s:UInt32}) AND ts < toDateTime({to_s:UInt32})
ORDER BY ts DESC
LIMIT 100
