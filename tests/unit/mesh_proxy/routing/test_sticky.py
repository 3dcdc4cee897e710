from random import Random

from mesh_model.node_policies import Sticky
from mesh_proxy.routing.sticky import StickyKey
from mesh_proxy.targets.hash_balancing import hash_of

LINES = [b"X-User: ann\r\n", b"Cookie: a=1; where=here; b=2\r\n", b"cookie: c=3\r\n"]


def key_of(sticky: Sticky, lines: list[bytes], client: str = "10.0.0.1") -> tuple[int | None, bytes]:
    return StickyKey(sticky, Random(1)).of(lines, client)


def test_a_header_is_the_key_and_without_it_any_endpoint_will_do() -> None:
    assert key_of(Sticky("header", "x-user"), LINES) == (hash_of(b"ann"), b"")
    assert key_of(Sticky("header", "x-user"), []) == (None, b"")


def test_the_source_is_the_key() -> None:
    assert key_of(Sticky("source"), LINES) == (hash_of(b"10.0.0.1"), b"")


def test_a_cookie_is_the_key_wherever_it_stands() -> None:
    assert key_of(Sticky("cookie", "where"), LINES) == (hash_of(b"here"), b"")
    assert key_of(Sticky("cookie", "c"), LINES) == (hash_of(b"3"), b"")


def test_a_cookie_that_is_missing_is_made_and_then_means_the_same_endpoint() -> None:
    key, line = key_of(Sticky("cookie", "stay", 3600.0, "/shop"), LINES)
    assert line.startswith(b'set-cookie: stay="')
    assert line.endswith(b'"; Max-Age=3600; Path=/shop; HttpOnly\r\n')
    value = line.split(b'"')[1]
    assert key_of(Sticky("cookie", "stay"), [b"cookie: stay=%b\r\n" % value]) == (key, b"")
    assert key_of(Sticky("cookie", "stay"), [b'cookie: stay="%b"\r\n' % value]) == (key, b"")
    assert b"Max-Age" not in key_of(Sticky("cookie", "stay"), [])[1]
