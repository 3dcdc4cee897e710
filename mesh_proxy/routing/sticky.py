"""What keeps a caller at one endpoint: the hash of a header, of a cookie or of its address, as Envoy hashes them."""

from collections.abc import Sequence
from random import Random

from mesh_model.node_policies import Sticky
from mesh_proxy.targets.hash_balancing import hash_of

LONGEST_VALUE = 4096


def header_value(lines: Sequence[bytes], name: bytes) -> bytes | None:
    """Return the value of the first header of that name (in lower case) among ``Name: value`` lines; None when absent."""
    size = len(name)
    for line in lines:
        if line[size : size + 1] == b":" and line[:size].lower() == name:
            return line[size + 1 :].strip()
    return None


def cookie_value(lines: Sequence[bytes], name: bytes) -> bytes | None:
    """Return the value of a cookie that the request brings; None when it does not."""
    for line in lines:
        if line[:7].lower() != b"cookie:":
            continue
        for pair in line[7:].strip().split(b";"):
            found, equals, value = pair.strip().partition(b"=")
            if equals and found == name:
                return value.strip(b'"')
    return None


class StickyKey:
    """Finds the hash key of a request; a cookie that is missing is made up, for the answer to set."""

    __slots__ = ("_attributes", "_name", "_random", "_sticky")

    def __init__(self, sticky: Sticky, random: Random) -> None:
        self._sticky, self._random = sticky, random
        self._name = sticky.name.encode() if sticky.by == "cookie" else sticky.name.lower().encode()
        age = f"; Max-Age={sticky.ttl_s:.0f}" if sticky.ttl_s is not None else ""
        self._attributes = f"{age}; Path={sticky.path}; HttpOnly".encode()

    def of(self, lines: Sequence[bytes], client: str) -> tuple[int | None, bytes]:
        """Return the key (None: any endpoint will do), and the Set-Cookie line for the answer (empty: none)."""
        if self._sticky.by == "source":
            return hash_of(client.encode()), b""
        if self._sticky.by == "header":
            value = header_value(lines, self._name)
            return (hash_of(value[:LONGEST_VALUE]) if value is not None else None), b""
        value = cookie_value(lines, self._name)
        if value:
            return hash_of(value[:LONGEST_VALUE]), b""
        made = b"%016x" % self._random.getrandbits(64)
        return hash_of(made), b'set-cookie: %b="%b"%b\r\n' % (self._name, made, self._attributes)
