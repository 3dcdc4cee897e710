-- Gives new operations their places, those with most calls first, as long as their service has some of its {most}; and notes
-- once an hour that an operation is still called.
INSERT INTO operations
WITH known AS (SELECT service, route, max(seen) AS last FROM operations WHERE seen > now() - INTERVAL 1 DAY GROUP BY service, route)
SELECT service, route, now()
FROM (
    SELECT
        fresh.service AS service, fresh.route AS route, known.last AS last, taken.places AS places,
        row_number() OVER (PARTITION BY fresh.service, known.last = 0 ORDER BY fresh.calls DESC, fresh.route) AS nth
    FROM (
        SELECT toString(g.service) AS service, toString(g.route) AS route, sum(g.calls) AS calls
        FROM golden_signals_10s AS g
        WHERE _part IN {parts:Array(String)} AND g.route != '__other__'
        GROUP BY service, route
    ) AS fresh
    LEFT JOIN known ON known.service = fresh.service AND known.route = fresh.route
    LEFT JOIN (SELECT service, count() AS places FROM known GROUP BY service) AS taken ON taken.service = fresh.service
)
WHERE if(last = 0, nth + places <= {most:UInt64}, last < now() - INTERVAL 1 HOUR)
