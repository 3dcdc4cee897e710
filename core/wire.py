"""Protobuf's wire format, as far as messages are moved and cut without being understood."""

from collections.abc import Iterator

_LENGTH, _FIXED = 2, {1: 8, 5: 4}


def varint(number: int) -> bytes:
    """Return ``number`` as a base-128 varint; a negative one as its 64-bit two's complement, as protobuf does."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def delimited(message: bytes) -> bytes:
    """Return the message after its length."""
    return varint(len(message)) + message


def inside(numbers: tuple[int, ...], content: bytes) -> bytes:
    """Return ``content`` as the field of the last number, in a message that is the field of the number before, and so on."""
    for number in reversed(numbers):
        content = varint(number << 3 | _LENGTH) + delimited(content)
    return content


Field = tuple[int, int, int, int]
"""A field's number, and where it begins, where its content begins and where it ends."""


def fields(message: bytes, begin: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message at ``message[begin:end]``; raise ValueError where they cannot be told apart.

    The number of a field whose content has no length before it, so that it cannot hold a message, is negative.
    """
    at = begin
    try:
        while at < end:
            tag, content = _read_varint(message, at)
            kind = tag & 7
            if tag < 8:
                raise ValueError(f"the field at byte {at} has no number")
            if kind == _LENGTH:
                length, content = _read_varint(message, content)
                number = tag >> 3
            else:
                length = _FIXED[kind] if kind else _read_varint(message, content)[1] - content
                number = -(tag >> 3)
            following = content + length
            if following > end:
                raise ValueError(f"the field at byte {at} ends after its message")
            yield number, at, content, following
            at = following
    except (IndexError, KeyError):
        raise ValueError(f"no field begins at byte {at}") from None


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number at ``at`` and where the next thing begins."""
    number = message[at]
    if number < 128:
        return number, at + 1
    number &= 127
    for shift in range(7, 70, 7):
        at += 1
        byte = message[at]
        if byte < 128:
            return number | byte << shift, at + 1
        number |= (byte & 127) << shift
    raise ValueError(f"the number before byte {at} has no end")
