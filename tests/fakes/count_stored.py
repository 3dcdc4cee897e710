"""Counts what a stopped Meshscope has stored; a process of its own, for chDB allows one path in a process.

python -m tests.fakes.count_stored DATA_DIR
"""

import json
import sys
from pathlib import Path

from storage.telemetry.engine_clickhouse import open_embedded

COUNT = """
SELECT (SELECT count() FROM spans) AS spans,
       (SELECT uniqExact(trace_id, span_id) FROM spans) AS distinct_spans,
       (SELECT sum(calls) FROM golden_signals_10s) AS calls,
       (SELECT sum(trace_index.spans) FROM trace_index) AS indexed
"""

if __name__ == "__main__":
    engine = open_embedded(Path(sys.argv[1]))
    print(json.dumps(engine.query(COUNT, {})[0]))  # noqa: T201
    engine.close()
