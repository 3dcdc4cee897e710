from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_proxy.telemetry import trace_context

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_traceparent_is_read() -> None:
    context = trace_context.parse(f"00-{TRACE}-{SPAN}-01".encode())
    assert context == (bytes.fromhex(TRACE), bytes.fromhex(SPAN), b"01", True)
    unsampled = trace_context.parse(f"00-{TRACE}-{SPAN}-00".encode())
    assert unsampled is not None
    assert not unsampled.sampled
    assert trace_context.parse(f"cc-{TRACE}-{SPAN}-09-what-comes".encode()) is not None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-0",
        f"cc-{TRACE}-{SPAN}-01x",
    ],
)
def test_what_is_no_traceparent_is_ignored(value: str) -> None:
    assert trace_context.parse(value.encode()) is None


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_ignored(value: bytes) -> None:
    trace_context.parse(value)


def test_a_header_line_can_be_read_back() -> None:
    ids = trace_context.new_ids(Random(1))
    root = trace_context.TraceContext(ids[:16], b"", b"01", True)
    line = trace_context.header_line(root, ids[16:24])
    assert trace_context.parse(line.removeprefix(b"traceparent: ").strip()) == (ids[:16], ids[16:24], b"01", True)
    assert len(ids) == 32
