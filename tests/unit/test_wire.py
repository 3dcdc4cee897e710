from google.protobuf.internal.decoder import _DecodeVarint  # type: ignore[attr-defined]
from hypothesis import given
from hypothesis import strategies as st

from core.wire import delimited, varint


@given(st.integers(min_value=-(2**63), max_value=2**64 - 1))
def test_protobuf_reads_our_varints(number: int) -> None:
    assert _DecodeVarint(varint(number), 0) == (number % 2**64, len(varint(number)))


def test_each_message_stands_after_its_length() -> None:
    assert delimited([b"", b"ab", b"x" * 200]) == b"\x00" + b"\x02ab" + b"\xc8\x01" + b"x" * 200
