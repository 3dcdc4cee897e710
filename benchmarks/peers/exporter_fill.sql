-- Length-delimited OTLP requests -> the rows that the exporter would insert (exporter_traces.go of the same version).
INSERT INTO exporter.otel_traces (
    Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName, ScopeVersion,
    SpanAttributes, Duration, StatusCode, StatusMessage)
SELECT
    fromUnixTimestamp64Nano(toInt64(s.start_time_unix_nano)),
    lower(hex(s.trace_id)),
    lower(hex(s.span_id)),
    lower(hex(s.parent_span_id)),
    s.name,
    ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'][s.kind + 1],
    r['service.name'],
    r,
    scope.name,
    scope.version,
    mapFromArrays(s.attributes.key, arrayMap(v -> if(v.value = 'int_value', toString(v.int_value), v.string_value), s.attributes.value)),
    s.end_time_unix_nano - s.start_time_unix_nano,
    ['Unset', 'Ok', 'Error'][s.status.code + 1],
    s.status.message
FROM (
    SELECT r, scope_span.scope AS scope, arrayJoin(scope_span.spans) AS s
    FROM (
        SELECT mapFromArrays(rs.resource.attributes.key, rs.resource.attributes.value.string_value) AS r, arrayJoin(rs.scope_spans) AS scope_span
        FROM (
            SELECT arrayJoin(resource_spans) AS rs
            FROM file({block:String}, 'Protobuf', '
                resource_spans Array(Tuple(
                    resource Tuple(attributes Array(Tuple(key String, value Tuple(
                        value Enum8(\'none\' = 0, \'string_value\' = 1, \'int_value\' = 3), string_value String, int_value Int64)))),
                    scope_spans Array(Tuple(
                        scope Tuple(name String, version String),
                        spans Array(Tuple(
                            trace_id String, span_id String, parent_span_id String, name String, kind Int32,
                            start_time_unix_nano UInt64, end_time_unix_nano UInt64,
                            attributes Array(Tuple(key String, value Tuple(
                                value Enum8(\'none\' = 0, \'string_value\' = 1, \'int_value\' = 3), string_value String, int_value Int64))),
                            status Tuple(message String, code Int32)))))))')
        )
    )
)
SETTINGS format_schema = '{proto}', input_format_protobuf_oneof_presence = 1, max_threads = 1
