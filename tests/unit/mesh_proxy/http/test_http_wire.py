import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_proxy.http.wire import host_name, own_reply, plain_path, split_target, without_named


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        (b"/", b"/"),
        (b"/a/b?x=//y/../", b"/a/b?x=//y/../"),
        (b"//a///b", b"/a/b"),
        (b"/public/../admin", b"/admin"),
        (b"/public/%2e%2E/admin", b"/admin"),
        (b"/../../etc", b""),
        (b"/a/./b/", b"/a/b/"),
        (b"/a/..", b"/"),
        (b"/a/%2Fb", b"/a/%2Fb"),
        (b"/.well-known/x", b"/.well-known/x"),
        (b"*", b"*"),
    ],
)
def test_paths_are_compared_plain(path: bytes, plain: bytes) -> None:
    assert plain_path(path) == plain


@given(st.binary(max_size=60))
def test_a_plain_path_stays_as_it_is(path: bytes) -> None:
    once = plain_path(b"/" + path)
    assert once.startswith(b"/") or not once, "a path that would lead out of the root is none"
    assert plain_path(once) == once or b"%2" in once


@pytest.mark.parametrize(
    ("target", "path", "authority"),
    [
        (b"/a?b", b"/a?b", None),
        (b"*", b"*", None),
        (b"http://h:1/a?b", b"/a?b", b"h:1"),
        (b"HTTP://h", b"/", b"h"),
        (b"http://h?q", b"/?q", b"h"),
        (b"ftp://h/", b"", None),
        (b"h:80", b"", None),
    ],
)
def test_targets_are_taken_apart(target: bytes, path: bytes, authority: bytes | None) -> None:
    assert split_target(target) == (path, authority)


def test_hosts_lose_port_and_case() -> None:
    assert [host_name(host) for host in (b"A.b", b"a.b:80", b"[::1]:80", b"[::1]", b"")] == ["a.b", "a.b", "[::1]", "[::1]", ""]


def test_headers_named_by_connection_are_left_out() -> None:
    lines = [b"X-A: 1\r\n", b"X-B: 2\r\n"]
    assert without_named(lines, b",keep-alive, x-a") == [b"X-B: 2\r\n"]
    assert without_named(lines, b",close") == lines


def test_own_replies_are_whole() -> None:
    assert own_reply(503, "no", head_only=False, close=True) == (
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"
    )
