-- How much is stored, and since when.
SELECT
    (SELECT count() FROM spans) AS spans_stored,
    (SELECT count() FROM logs) AS logs_stored,
    (SELECT minOrNull(ts) FROM spans) AS oldest,
    (SELECT maxOrNull(ts) FROM spans) AS newest,
    (SELECT sum(i.spans) FROM trace_index AS i WHERE i.trace_id IN (SELECT trace_id FROM overgrown_traces))
        - (SELECT sum(at) FROM (SELECT max(spans) AS at FROM overgrown_traces GROUP BY trace_id)) AS spans_left_out,
    (SELECT sum(bytes_on_disk) FROM system.parts WHERE database = currentDatabase() AND active) AS bytes_on_disk
