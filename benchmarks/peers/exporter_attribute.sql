-- The newest spans with an attribute.
SELECT SpanId AS span_id, Timestamp AS ts, Duration AS duration_ns
FROM exporter.otel_traces
WHERE SpanAttributes[{key:String}] = {value:String} AND Timestamp >= toDateTime({from_s:UInt32}) AND Timestamp < toDateTime({to_s:UInt32})
ORDER BY ts DESC
LIMIT 100
