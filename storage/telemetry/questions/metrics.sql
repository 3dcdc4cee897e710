-- Which metrics there are, by service and name. Histograms and summaries have no single last value.
SELECT
    service,
    name,
    unit,
    kind,
    points,
    series,
    -- JSON has no NaN and no infinity.
    if(isFinite(newest), newest, NULL) AS last_value,
    last_seen
FROM (
    SELECT p.service AS service, p.name AS name, p.unit AS unit, toString(p.kind) AS kind, count() AS points,
        uniq(p.series) AS series, argMax(p.value, (p.ts, p.series)) AS newest, max(p.ts) AS last_seen
    FROM metric_points AS p
    WHERE p.ts >= fromUnixTimestamp64Nano({start_ns:Int64}) AND p.ts < fromUnixTimestamp64Nano({end_ns:Int64})
        AND ({service:String} = '' OR p.service = {service:String})
        AND ({metric:String} = '' OR p.name = {metric:String})
    GROUP BY p.service, p.name, p.unit, p.kind
    UNION ALL
    SELECT h.service, h.name, h.unit, toString(h.kind), count(), uniq(h.series), NULL, max(h.ts)
    FROM metric_histograms AS h
    WHERE h.ts >= fromUnixTimestamp64Nano({start_ns:Int64}) AND h.ts < fromUnixTimestamp64Nano({end_ns:Int64})
        AND ({service:String} = '' OR h.service = {service:String})
        AND ({metric:String} = '' OR h.name = {metric:String})
    GROUP BY h.service, h.name, h.unit, h.kind
    UNION ALL
    SELECT s.service, s.name, s.unit, 'summary', count(), uniq(s.series), NULL, max(s.ts)
    FROM metric_summaries AS s
    WHERE s.ts >= fromUnixTimestamp64Nano({start_ns:Int64}) AND s.ts < fromUnixTimestamp64Nano({end_ns:Int64})
        AND ({service:String} = '' OR s.service = {service:String})
        AND ({metric:String} = '' OR s.name = {metric:String})
    GROUP BY s.service, s.name, s.unit
)
ORDER BY service, name, unit, kind
LIMIT {limit:UInt32}
