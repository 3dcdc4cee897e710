-- Traces of more than {most} spans. Only those are summed up that have many in what was just written: other sums would cost more
-- than what they find.
INSERT INTO overgrown_traces
SELECT trace_id, sum(i.spans) AS seen, now()
FROM trace_index AS i
WHERE trace_id IN (
        SELECT fresh.trace_id FROM trace_index AS fresh WHERE _part IN {parts:Array(String)}
        GROUP BY fresh.trace_id HAVING sum(fresh.spans) > intDiv({most:UInt64}, 64)
    )
    AND trace_id NOT IN (SELECT trace_id FROM overgrown_traces)
GROUP BY trace_id
HAVING seen > {most:UInt64}
