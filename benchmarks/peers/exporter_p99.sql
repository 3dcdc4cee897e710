-- The 99th percentile of what a service took to answer.
SELECT count() AS calls, quantile(0.99)(Duration) / 1e6 AS p99_ms
FROM exporter.otel_traces
WHERE ServiceName = {service:String} AND SpanKind = 'Server'
    AND Timestamp >= toDateTime({from_s:UInt32}) AND Timestamp < toDateTime({to_s:UInt32})
