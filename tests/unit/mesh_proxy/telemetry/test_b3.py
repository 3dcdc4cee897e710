import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_proxy.telemetry import b3
from mesh_proxy.telemetry.trace_context import TraceContext

TRACE, SHORT, SPAN, PARENT = b"463ac35c9f6413ad48485a3953bb6124", b"48485a3953bb6124", b"a2fb4a1d1a96d312", b"0020000000000001"
MANY = ((b"x-b3-traceid", TRACE), (b"x-b3-spanid", SPAN), (b"x-b3-parentspanid", PARENT))


def single(value: bytes) -> b3.Headers:
    return ((b"b3", value),)


@pytest.mark.parametrize(
    ("headers", "recorded"),
    [
        pytest.param(single(TRACE + b"-" + SPAN + b"-1-" + PARENT), True, id="single"),
        pytest.param(single(TRACE + b"-" + SPAN), True, id="single, nothing said"),
        pytest.param(single(TRACE.upper() + b"-" + SPAN.upper() + b"-d"), True, id="single, debug, capitals"),
        pytest.param(single(TRACE + b"-" + SPAN + b"-0"), False, id="single, not recorded"),
        pytest.param((*MANY, (b"x-b3-sampled", b"1")), True, id="many"),
        pytest.param((*MANY, (b"x-b3-flags", b"1")), True, id="many, debug"),
        pytest.param((*MANY, (b"x-b3-sampled", b"false")), False, id="many, not recorded"),
    ],
)
def test_b3_is_read_in_both_forms(headers: b3.Headers, recorded: bool) -> None:
    assert b3.parse(headers) == (
        bytes.fromhex(TRACE.decode()),
        bytes.fromhex(SPAN.decode()),
        b"01" if recorded else b"00",
        recorded,
    )
    assert b3.refuses(headers) is not recorded


def test_a_short_trace_id_has_zeros_before_it() -> None:
    context = b3.parse(single(SHORT + b"-" + SPAN))
    assert context is not None
    assert context.trace_id == bytes(8) + bytes.fromhex(SHORT.decode())


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"1",
        b"0",
        b"d",
        b"-",
        SHORT,
        TRACE + b"-" + SPAN[:8],
        b"0" * 32 + b"-" + SPAN,
        TRACE + b"-" + b"0" * 16,
        b"xyz-" + SPAN,
    ],
)
def test_what_names_no_trace_is_none(value: bytes) -> None:
    assert b3.parse(single(value)) is None


def test_a_decision_needs_no_trace() -> None:
    assert b3.refuses(single(b"0"))
    assert b3.refuses(((b"x-b3-sampled", b"0"),))
    assert not b3.refuses(single(b"1"))


@pytest.mark.parametrize(
    "headers", [single(TRACE + b"-" + SPAN + b"-1"), (*MANY, (b"x-b3-sampled", b"1")), (*MANY, (b"x-b3-flags", b"1"))]
)
def test_what_is_passed_on_has_the_form_that_came(headers: b3.Headers) -> None:
    context = TraceContext(bytes.fromhex(TRACE.decode()), bytes.fromhex(SPAN.decode()), b"01", True)
    lines = b3.header_lines(headers, context, b"\x01" * 8, b"\x02" * 8)
    again = tuple((name, value.strip()) for name, _, value in (line.partition(b":") for line in lines.splitlines()))
    assert {name for name, _ in again} <= {*(name for name, _ in headers), b"x-b3-parentspanid"}
    assert b3.parse(again) == (context.trace_id, b"\x01" * 8, b"01", True)
    assert b"02" * 8 in lines
    assert (b"x-b3-flags: 1" in lines) is ((b"x-b3-flags", b"1") in headers)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_ignored(value: bytes) -> None:
    b3.parse(single(value))
    b3.refuses(single(value))
