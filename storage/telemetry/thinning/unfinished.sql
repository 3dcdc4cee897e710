-- Removals that are not done yet, and what keeps them from it.
SELECT count() AS unfinished, max(latest_fail_reason) AS trouble
FROM system.mutations
WHERE database = currentDatabase() AND table = 'spans' AND NOT is_done
