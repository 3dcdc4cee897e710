-- Which attributes the first {rows} spans of each of {parts} and their resources bear; what has a column of its own goes by its
-- semantic convention. New names take what is left of the {most} places that a service has for a day, the most frequent first.
INSERT INTO attribute_names
WITH
    looked_at AS (
        SELECT toString(s.service) AS service, s.resource_id AS sender, toDateTime(s.ts) AS at, arrayConcat(
            arrayFilter(pair -> pair.2 != '', [
                ('http.request.method', toString(s.http_method)),
                ('http.route', toString(s.http_route)),
                ('http.response.status_code', if(s.http_status = 0, '', toString(s.http_status))),
                ('url.path', toString(s.url_path)),
                ('client.address', toString(s.client_address)),
                ('peer.service', toString(s.peer)),
                ('peer.version', toString(s.peer_version)),
                ('upstream_cluster.name', toString(s.upstream_cluster)),
                ('response_flags', toString(s.response_flags))
            ]),
            arrayMap((k, v) -> (toString(k), v), mapKeys(s.attributes), mapValues(s.attributes))) AS pairs
        FROM spans AS s
        WHERE _part IN {parts:Array(String)} AND _part_offset < {rows:UInt64}
    ),
    senders AS (SELECT service, sender, count() AS spans, max(at) AS at FROM looked_at GROUP BY service, sender),
    borne AS (
        SELECT service, 'span' AS scope, 1 AS spans, at, arrayJoin(pairs) AS pair FROM looked_at
        UNION ALL
        SELECT senders.service, 'resource', senders.spans, senders.at,
            arrayJoin(arrayMap((k, v) -> (toString(k), v), mapKeys(r.attributes), mapValues(r.attributes)))
        FROM senders
        INNER JOIN (SELECT id, attributes FROM resources WHERE id IN (SELECT sender FROM senders) LIMIT 1 BY id) AS r ON r.id = senders.sender
    ),
    fresh AS (
        SELECT
            service, scope, if(length(pair.1) <= 256, pair.1, '__other__') AS name,
            sum(borne.spans) AS counted, max(at) AS last,
            groupBitOr(meshscope_reads_as(pair.2)) AS kinds,
            groupUniqArrayIf(10)(substringUTF8(pair.2, 1, 128), NOT startsWith(pair.2, '\0')) AS seen
        FROM borne
        WHERE pair.1 != ''
        GROUP BY service, scope, name
    ),
    known AS (
        SELECT DISTINCT service, toString(scope) AS scope, name FROM attribute_names
        WHERE day = toDate(now(), 'UTC') AND name NOT IN ('', '__other__')
    )
SELECT
    toDate(now(), 'UTC') AS day, service, scope, if(is_known OR nth + places <= {most:UInt64}, name, '__other__') AS kept,
    sum(counted) AS spans, max(last) AS last_seen, groupBitOr(kinds) AS reads_as,
    if(kept = '__other__', [], groupUniqArrayArray(10)(seen)) AS samples
FROM (
    SELECT
        fresh.service AS service, fresh.scope AS scope, fresh.name AS name, counted, last, kinds, seen, taken.places AS places,
        known.name != '' OR fresh.name = '__other__' AS is_known,
        row_number() OVER (PARTITION BY fresh.service, fresh.scope, is_known ORDER BY counted DESC, fresh.name) AS nth
    FROM fresh
    LEFT JOIN known ON known.service = fresh.service AND known.scope = fresh.scope AND known.name = fresh.name
    LEFT JOIN (SELECT service, scope, count() AS places FROM known GROUP BY service, scope) AS taken
        ON taken.service = fresh.service AND taken.scope = fresh.scope
)
GROUP BY service, scope, kept
UNION ALL
SELECT toDate(now(), 'UTC'), service, 'span', '', sum(spans), max(at), 0, [] FROM senders GROUP BY service
-- A million names must not take the memory: beyond this many, names that no group was opened for yet are left out.
SETTINGS max_rows_to_group_by = 100000, group_by_overflow_mode = 'any', max_execution_time = 10, max_memory_usage = 1000000000
