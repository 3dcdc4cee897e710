INSERT INTO full_traces
SELECT DISTINCT trace_id FROM overgrown_traces
