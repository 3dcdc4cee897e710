"""The schema is brought up to date whatever an earlier start left of it."""

from importlib import resources

from storage.telemetry.engine import Engine
from storage.telemetry.migrate import migrate


def test_a_start_that_was_killed_half_way_is_finished_by_the_next(engine: Engine) -> None:
    applied = migrate(engine)
    assert applied == []
    # As after a kill between a file's last statement and its mark, and within a file.
    engine.command("TRUNCATE TABLE schema_migrations")
    engine.command("DROP TABLE typed_spans_to_golden_signals_10s")
    files = resources.files("storage.telemetry.schema").iterdir()
    assert migrate(engine) == sorted(file.name for file in files if file.name.endswith(".sql"))
    assert migrate(engine) == []
    views = engine.query("SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE 'typed_spans_to_%'", {})
    assert {view["name"] for view in views} == {
        "typed_spans_to_spans",
        "typed_spans_to_golden_signals_10s",
        "typed_spans_to_trace_index",
        "typed_spans_to_half_edges",
    }
