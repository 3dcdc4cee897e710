-- A trace by its id, as the exporter's README (v0.161.0) asks for it, with the maps as they are.
WITH
    {trace_id:String} AS trace_id,
    (SELECT min(Start) FROM exporter.otel_traces_trace_id_ts WHERE TraceId = trace_id) AS start,
    (SELECT max(End) + 1 FROM exporter.otel_traces_trace_id_ts WHERE TraceId = trace_id) AS end
SELECT
    Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, Duration, StatusCode, StatusMessage,
    SpanAttributes, ResourceAttributes, Events.Name, Links.TraceId
FROM exporter.otel_traces
WHERE TraceId = trace_id AND Timestamp >= start AND Timestamp <= end
ORDER BY Timestamp
LIMIT 20001
