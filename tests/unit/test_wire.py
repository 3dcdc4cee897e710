from contextlib import suppress

import pytest
from google.protobuf.internal.decoder import _DecodeVarint  # type: ignore[attr-defined]
from hypothesis import given
from hypothesis import strategies as st

from core.wire import delimited, fields, inside, varint


@given(st.integers(min_value=-(2**63), max_value=2**64 - 1))
def test_protobuf_reads_our_varints(number: int) -> None:
    assert _DecodeVarint(varint(number), 0) == (number % 2**64, len(varint(number)))


def test_each_message_stands_after_its_length() -> None:
    assert delimited(b"") + delimited(b"ab") + delimited(b"x" * 200) == b"\x00" + b"\x02ab" + b"\xc8\x01" + b"x" * 200


@given(st.integers(min_value=0, max_value=2**64 - 1), st.binary(max_size=300), st.binary(max_size=20))
def test_fields_are_told_apart(number: int, text: bytes, before: bytes) -> None:
    message = b"\x08" + varint(number) + inside((2000,), text) + b"\x19" + bytes(8) + b"\x25" + bytes(4)
    found = list(fields(before + message, len(before), len(before) + len(message)))
    assert [each[0] for each in found] == [-1, 2000, -3, -4]
    assert (before + message)[found[1][2] : found[1][3]] == text
    assert [each[1] for each in found] == [len(before), *(each[3] for each in found[:-1])]


@pytest.mark.parametrize("broken", [b"\x0a", b"\x0a\x05abc", b"\x08\xff", b"\x08" + b"\xff" * 11, b"\x0b", b"\x09abc"])
def test_what_is_no_message_is_no_fields(broken: bytes) -> None:
    with pytest.raises(ValueError, match="byte"):
        list(fields(broken, 0, len(broken)))


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_a_value_error(message: bytes) -> None:
    with suppress(ValueError):
        assert sum(end - begin for _, begin, _, end in fields(message, 0, len(message))) == len(message)


def test_inside_wraps_from_the_last_number_to_the_first() -> None:
    assert inside((1, 2), b"ab") == b"\x0a\x04" + b"\x12\x02ab"
    assert inside((), b"ab") == b"ab"
