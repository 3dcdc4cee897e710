"""Counts what a stopped Meshscope has stored; a process of its own, for chDB allows one path in a process.

python -m tests.fakes.count_stored DATA_DIR
"""

import json
import sys
import time
from pathlib import Path

from storage.telemetry.edges import PATIENCE_S, settle
from storage.telemetry.engine_clickhouse import open_embedded

COUNT = """
SELECT (SELECT count() FROM spans) AS spans,
       (SELECT uniqExact(trace_id, span_id) FROM spans) AS distinct_spans,
       (SELECT sum(trace_index.spans) FROM trace_index) AS indexed,
       (SELECT sum(calls) FROM edges_1m FINAL) AS edges,
       (SELECT count() FROM logs) AS logs,
       (SELECT count() FROM metric_points) AS points
"""

ROLLUPS = """
SELECT table FROM system.columns
WHERE database = currentDatabase() AND table LIKE 'golden_signals%' AND name = 'calls'
ORDER BY table
"""

if __name__ == "__main__":
    engine = open_embedded(Path(sys.argv[1]))
    time.sleep(PATIENCE_S + 1)  # a lone half is an edge of its own only after that
    settle(engine, since=time.time() - 3600)
    counts = engine.query(COUNT, {})[0]
    rollups = [row["table"] for row in engine.query(ROLLUPS, {})]
    calls = {table: engine.query(f"SELECT sum(calls) AS calls FROM {table}", {})[0]["calls"] for table in rollups}
    print(json.dumps({**counts, "calls": calls}))  # noqa: T201
    engine.close()
