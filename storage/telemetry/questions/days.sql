-- The days that the store holds, the oldest first, with what each takes on the disk; tables without days are not in it.
SELECT
    partition_id AS day,
    sum(bytes_on_disk) AS bytes,
    groupUniqArray(table) AS tables
FROM system.parts
WHERE database = currentDatabase() AND active AND match(partition_id, '^[0-9]{8}$')
GROUP BY day
ORDER BY day
