-- How much is stored, and since when.
SELECT
    (SELECT count() FROM spans) AS spans_stored,
    (SELECT count() FROM logs) AS logs_stored,
    (SELECT minOrNull(ts) FROM spans) AS oldest,
    (SELECT maxOrNull(ts) FROM spans) AS newest,
    (SELECT sum(bytes_on_disk) FROM system.parts WHERE database = currentDatabase() AND active) AS bytes_on_disk
