"""What is asked of the store is looked up where it stands, not searched for."""

from storage.telemetry.engine import Engine
from storage.telemetry.questions import question
from tests.fakes.filled_store import HOUR, spans
from tests.fakes.spans import SERVER, Span


def test_a_trace_is_looked_up_by_its_time_and_its_id(engine: Engine) -> None:
    spans(engine, Span("payments", SERVER, at=HOUR))
    asked = {"trace_id": "61" * 16, "start_ns": int(HOUR - 60) * 10**9, "end_ns": int(HOUR + 60) * 10**9, "limit": 20_001}
    plan = [line["explain"].strip("│ ") for line in engine.query("EXPLAIN indexes = 1 " + question("trace_spans"), asked)]
    at = plan.index("PrimaryKey")
    assert plan[at + 1 : at + 4] == ["Keys:", "toStartOfInterval(ts, toIntervalSecond(10))", "trace_id"]
