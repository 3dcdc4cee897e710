-- What no service is called tells when the sets were filled.
INSERT INTO crowded_services
SELECT service FROM operations WHERE seen > now() - INTERVAL 1 DAY GROUP BY service HAVING uniqExact(route) >= {most:UInt64}
UNION ALL
SELECT concat('\0', toString(toStartOfInterval(now(), INTERVAL 10 MINUTE)))
