import pytest

from mesh_model.access import access_of
from mesh_proxy.access.guard import Guard, TokenRefused, bearer_of
from mesh_proxy.http.request import RequestHead
from mesh_proxy.tls.peer import Peer, introduction, names_in

WEB = Peer(("spiffe://shop/web", "web.local"), 0.0)


def status(tags: dict[str, str], peer: Peer | None, method: str, path: str) -> int:
    """Return how the guard answers; 0: it lets pass."""
    access = access_of(tags)
    assert access is not None
    why = Guard(access, None).judge(peer, RequestHead(method.encode(), path.encode(), b"api.local", []), 0.0)
    return why.status if why is not None else 0


@pytest.mark.parametrize(
    ("rule", "peer", "method", "path", "passes"),
    [
        ("from=spiffe://shop/web", WEB, "GET", "/", True),
        ("from=web.local", WEB, "GET", "/", True),
        ("from=spiffe://shop/", WEB, "GET", "/", True),
        ("from=spiffe://sho", WEB, "GET", "/", False),
        ("from=spiffe://shop/we", WEB, "GET", "/", False),
        ("from=spiffe://other/+spiffe://shop/web", WEB, "GET", "/", True),
        ("from=any", WEB, "GET", "/", True),
        ("from=any", None, "GET", "/", False),
        ("from=spiffe://shop/web", None, "GET", "/", False),
        ("method=GET+HEAD", None, "HEAD", "/", True),
        ("method=GET+HEAD", None, "POST", "/", False),
        ("path=/pay", None, "GET", "/pay?x=1", True),
        ("path=/pay", None, "GET", "/pay/1", False),
        ("prefix=/api/", None, "GET", "/api/1", True),
        ("prefix=/api/", None, "GET", "/apis", False),
        ("path=/pay prefix=/api/", None, "GET", "/api/1", True),
        ("from=any method=GET path=/pay", WEB, "GET", "/pay", True),
        ("from=any method=GET path=/pay", WEB, "POST", "/pay", False),
        ("prefix=/api/", None, "GET", "/api/%2e%2e/admin", False),
        ("path=/pay", None, "GET", "/p%61y", True),
        ("path=/pay", None, "GET", "/pay%3Fx", False),
    ],
)
def test_what_no_allow_rule_fits_is_denied(rule: str, peer: Peer | None, method: str, path: str, passes: bool) -> None:
    assert status({"allow.one": rule}, peer, method, path) == (0 if passes else 403)


def test_one_of_several_allow_rules_is_enough() -> None:
    tags = {"allow.get": "method=GET", "allow.web": "from=spiffe://shop/web"}
    assert [status(tags, WEB, "POST", "/"), status(tags, None, "GET", "/"), status(tags, None, "POST", "/")] == [0, 0, 403]


@pytest.mark.parametrize("path", ["/admin/x", "/%61dmin/x", "/admin%2Fx", "/x/%2e%2e/admin/x", "//admin/x"])
def test_a_deny_rule_goes_before_and_cannot_be_circumvented_by_escapes(path: str) -> None:
    tags = {"allow.all": "method=GET", "deny.admin": "prefix=/admin/"}
    if "%" in path or "//" not in path:
        assert status(tags, WEB, "GET", path) == 403
    assert status(tags, WEB, "GET", "/pay") == 0


def test_many_refusals_are_one_event() -> None:
    access = access_of({"allow.get": "method=GET"})
    assert access is not None
    guard = Guard(access, None)
    for _ in range(3):
        guard.judge(None, RequestHead(b"POST", b"/", b"api.local", []), 0.0)
    changes = guard.second(0.0)
    assert [(change.name, change.action, change.reason, change.numbers) for change in changes] == [
        ("mesh.access", "denied", "no_rule", (("denied", 3),))
    ]
    assert guard.second(1.0) == []


def test_a_token_is_taken_from_one_authorization_header() -> None:
    assert bearer_of([b"accept: */*\r\n", b"Authorization: Bearer abc\r\n"]) == b"abc"
    assert bearer_of([b"authorization: bearer  abc\r\n"]) == b"abc"
    assert bearer_of([b"authorization: Basic abc\r\n"]) is None
    assert bearer_of([]) is None
    with pytest.raises(TokenRefused):
        bearer_of([b"authorization: Bearer a\r\n", b"authorization: Bearer b\r\n"])


def test_a_name_in_a_certificate_cannot_look_like_another_header_or_field() -> None:
    line = introduction(("web;URI=x", "a\r\nx: y", 'b"', "spiffe://shop/web;DNS=b"), "00")
    expected = (
        b"x-forwarded-client-cert: Hash=00;DNS=web%3BURI%3Dx;DNS=a%0D%0Ax:%20y;DNS=b%22;URI=spiffe://shop/web%3BDNS%3Db\r\n"
    )
    assert line == expected


def test_a_host_name_cannot_pass_for_a_spiffe_id() -> None:
    kinds = (("DNS", "spiffe://shop/admin"), ("DNS", "web.local"), ("URI", "spiffe://shop/web"), ("email", "a@b"))
    assert names_in({"subjectAltName": kinds}) == ("web.local", "spiffe://shop/web")
