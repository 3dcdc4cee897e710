-- Days of which more than half was removed but still takes room.
SELECT stored.day AS day
FROM (
    SELECT partition_id AS day, sum(rows) AS stored_rows
    FROM system.parts
    WHERE database = currentDatabase() AND table = 'spans' AND active
    GROUP BY day
    HAVING max(has_lightweight_delete)
) AS stored
LEFT JOIN (SELECT _partition_id AS day, count() AS live_rows FROM spans GROUP BY day) AS live ON stored.day = live.day
WHERE live.live_rows * 2 < stored.stored_rows
ORDER BY day
