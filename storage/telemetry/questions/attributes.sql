-- Which attributes there are, those of most spans first; shares are of the spans that were looked at, of all services that fit.
SELECT
    a.scope AS scope,
    a.name AS name,
    sum(a.spans) AS spans,
    (
        SELECT sum(whole.spans) FROM attribute_names AS whole
        WHERE whole.day >= toDate({from_s:Int64}, 'UTC') AND whole.day < toDate({to_s:Int64}, 'UTC') AND whole.name = ''
            AND ({service:String} = '' OR whole.service = {service:String})
    ) AS looked_at,
    arraySort(groupUniqArray(1000)(a.service)) AS services,
    max(a.last_seen) AS last_seen,
    groupBitOr(a.reads_as) AS reads_as,
    arraySort(groupUniqArrayArray(10)(a.samples)) AS samples
FROM attribute_names AS a
WHERE a.day >= toDate({from_s:Int64}, 'UTC') AND a.day < toDate({to_s:Int64}, 'UTC') AND a.name != ''
    AND ({service:String} = '' OR a.service = {service:String})
    AND ({scope:String} = '' OR a.scope = {scope:String})
    AND ({attribute:String} = '' OR a.name = {attribute:String})
GROUP BY a.scope, a.name
ORDER BY a.name = '__other__', spans DESC, scope, name
LIMIT {limit:UInt32}
