"""Protobuf's wire format, as far as whole messages are moved without being understood."""


def varint(number: int) -> bytes:
    """Return ``number`` as a base-128 varint; a negative one as its 64-bit two's complement, as protobuf does."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def delimited(messages: list[bytes]) -> bytes:
    """Return the messages one after the other, each after its length: a stream that ClickHouse reads as rows."""
    return b"".join(part for message in messages for part in (varint(len(message)), message))
