"""How OTLP bytes land: ClickHouse itself decodes them, by a schema of our own."""

from dataclasses import dataclass
from importlib import resources

from storage.telemetry.engine import Signal


@dataclass(frozen=True, slots=True)
class Landing:
    """The Null table, its one column and the message that one signal's requests are."""

    table: str
    column: str
    message: str


LANDINGS: dict[Signal, Landing] = {
    "traces": Landing("otlp_traces_landing", "resource_spans", "Traces"),
    "logs": Landing("otlp_logs_landing", "resource_logs", "Logs"),
    "metrics": Landing("otlp_metrics_landing", "resource_metrics", "Metrics"),
}

OTLP_PROTO = resources.files(__package__).joinpath("otlp.proto").read_text("utf-8")

INSERT_SETTINGS: dict[str, str | int] = {
    # Tells which member of a oneof was sent, so that 0, '' and false survive.
    "input_format_protobuf_oneof_presence": 1,
    # A repeated token must be dropped by every table that a view writes to, not by the first one only.
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    # One block is one insert: more threads would split its deduplication.
    "max_insert_threads": 1,
    "max_threads": 1,
    "async_insert": 0,
    # Rows with one key meet when parts are merged, and questions sum them up anyway; folding each block first only costs.
    "optimize_on_insert": 0,
}
