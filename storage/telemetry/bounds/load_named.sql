INSERT INTO named_operations
SELECT DISTINCT cityHash64(service, route)
FROM operations
WHERE seen > now() - INTERVAL 1 DAY AND service IN (
    SELECT service FROM operations WHERE seen > now() - INTERVAL 1 DAY GROUP BY service HAVING uniqExact(route) >= {most:UInt64}
)
