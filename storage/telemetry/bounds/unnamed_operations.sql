-- Whether there is anything for name_operations.sql to do.
SELECT 1 AS found
FROM golden_signals_10s AS g
WHERE _part IN {parts:Array(String)} AND g.route != '__other__'
    AND (toString(g.service), toString(g.route)) NOT IN (SELECT service, route FROM operations WHERE seen >= now() - INTERVAL 1 HOUR)
LIMIT 1
