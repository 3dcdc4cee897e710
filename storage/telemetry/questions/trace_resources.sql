-- What sent the spans, by id: the attributes of the resource, and its scope. One may be there more than once.
SELECT
    id,
    scope,
    scope_version,
    mapKeys(attributes) AS keys,
    arrayMap(v -> if(startsWith(v, '\0'), concat('\0', base64Encode(substring(v, 2))), v), mapValues(attributes)) AS texts
FROM resources
PREWHERE id IN {ids:Array(UInt64)}
