-- Whether there is anything for find_overgrown.sql to do.
SELECT 1 AS found
FROM trace_index AS fresh
WHERE _part IN {parts:Array(String)}
GROUP BY fresh.trace_id
HAVING sum(fresh.spans) > intDiv({most:UInt64}, 64)
LIMIT 1
SETTINGS max_threads = 1
