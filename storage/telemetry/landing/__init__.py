"""How OTLP bytes land: ClickHouse itself decodes them, by a schema of our own."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from core.wire import fields
from storage.telemetry.engine import BadBlock, Signal


@dataclass(frozen=True, slots=True)
class Landing:
    """The Null table of one signal, its columns and the message that is one row of it."""

    table: str
    columns: tuple[str, str]
    message: str


LANDINGS: dict[Signal, Landing] = {
    "traces": Landing("otlp_traces_landing", ("resource", "scope_spans"), "ResourceSpans"),
    "logs": Landing("otlp_logs_landing", ("resource", "scope_logs"), "ResourceLogs"),
    "metrics": Landing("otlp_metrics_landing", ("resource", "scope_metrics"), "ResourceMetrics"),
}

FORMAT = "Protobuf"

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
    # No insert begins where it might not end: on a disk that fills up between a table's note of the token and the part itself, a
    # block sent again could be taken for one that is there. A block is 16 MiB at most, and smaller when stored.
    "min_free_disk_bytes_to_perform_insert": 64 * 1024 * 1024,
}

_ROW = 1


def as_block(requests: Sequence[bytes]) -> bytes:
    """Return what the requests repeat as their field 1, each after its length: a row each for ClickHouse.

    A request bears it in that very form, after a byte of tag; what else one may hold is no row. Raises BadBlock where the
    outermost fields of a request cannot be told apart: it would take bytes of the next one for its own.
    """
    try:
        return b"".join(
            memoryview(request)[begin + 1 : end]
            for request in requests
            for number, begin, _, end in fields(request, 0, len(request))
            if number == _ROW
        )
    except ValueError as error:
        raise BadBlock(f"a request is not what it claims to be: {error}") from None
