-- What sent the spans, by id: the attributes of the resource, and its scope under OpenTelemetry's names for formats that have no
-- field for one.
SELECT
    id,
    mapApply((k, v) -> (toString(k), if(startsWith(v, '\0'), concat('\0', base64Encode(substring(v, 2))), v)), mapUpdate(
        r.attributes,
        mapFilter((_, v) -> v != '', map('otel.scope.name', toString(r.scope), 'otel.scope.version', toString(r.scope_version)))
    )) AS attributes
FROM resources AS r
WHERE id IN {ids:Array(UInt64)}
LIMIT 1 BY id
