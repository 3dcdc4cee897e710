"""Who may call: identities, rules and tokens, with real sockets, certificates and signed tokens."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mesh_model.meshfile import MeshFileError
from mesh_proxy.access.token_keys import KeysUnusable
from mesh_proxy.admin.pages import stats
from mesh_proxy.proxy import Proxy
from tests.fakes import proxies
from tests.fakes.certificates import Authority
from tests.fakes.http_peers import Backend, Reply, Response, backend, collector, get, until
from tests.fakes.tls_pairs import API, WEB, client_context, listener, policy, two
from tests.fakes.tls_pairs import ask as ask_tls

ISSUER = "https://login.shop"
OLD, NEW = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)


def api(app: Backend, **tags: str) -> str:
    """A mesh whose ``web`` has these tags; its application is ``app``."""
    whole = json.loads(
        proxies.mesh([proxies.route("all", "/", {"api": 1})], [proxies.node("api", ["127.0.0.1:1"])], port=app.port)
    )
    whole["virtualNodes"][0]["tags"] += [
        {"key": f"meshscope/{word.replace('_', '.')}", "value": value} for word, value in tags.items()
    ]
    return json.dumps(whole)


def key_set(**keys: Any) -> str:
    """The public halves of these keys as a JSON web key set."""
    algorithms = {"old": jwt.algorithms.ECAlgorithm, "new": jwt.algorithms.RSAAlgorithm}
    return json.dumps(
        {"keys": [json.loads(algorithms[kid].to_jwk(key.public_key())) | {"kid": kid} for kid, key in keys.items()]}
    )


def token(key: Any = OLD, kid: str = "old", **claims: Any) -> str:
    """A signed token that holds for an hour, unless ``claims`` say otherwise."""
    now = datetime.now(UTC)
    asked = {"iss": ISSUER, "aud": "shop", "exp": timedelta(hours=1), "sub": "ada"} | claims
    whole = {name: now + value if isinstance(value, timedelta) else value for name, value in asked.items()}
    algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
    return jwt.encode({name: value for name, value in whole.items() if value is not None}, key, algorithm, {"kid": kid})


async def with_token(proxy: Proxy, sent: str, path: str = "/x") -> Response:
    return await get(proxy.ingress_port, path, Authorization=f"Bearer {sent}")


async def until_passes(proxy: Proxy, sent: str) -> None:
    async with asyncio.timeout(60):
        while (await with_token(proxy, sent)).status != 200:  # noqa: ASYNC110 - keys set no event for us
            await asyncio.sleep(0.05)


def denied(proxy: Proxy) -> dict[str, int]:
    found: dict[str, int] = stats(proxy)[1]["inbound"]["denied"]  # type: ignore[index]
    return found


async def test_the_application_learns_who_its_caller_is_and_from_nobody_else(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.sign(WEB, "web.local")
    server = listener(authority.sign(API), "PERMISSIVE", trust=authority)
    forged = b"GET / HTTP/1.1\r\nHost: api.local\r\nX-Forwarded-Client-Cert: URI=spiffe://shop/admin\r\n\r\n"
    async with backend() as app, two(tmp_path, app.port, server, policy(authority, own, names=(API,))) as pair:
        assert b"200" in await ask_tls(pair.api.ingress_port, client_context(authority, own), forged)
        assert b"200" in await ask_tls(pair.api.ingress_port, None, forged)
        assert (await get(pair.web.egress_port, "/x")).status == 200
        told = [request.headers.get("x-forwarded-client-cert") for request in app.received]
        assert told[1] is None
        assert told[0] == told[2]
        assert str(told[0]).startswith("Hash=")
        assert str(told[0]).endswith(f";URI={WEB};DNS=web.local")


async def test_who_may_call_is_decided_by_identity_path_and_method(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = listener(authority.sign(API), "PERMISSIVE", trust=authority)
    other = authority.sign("spiffe://shop/other")
    async with (
        collector() as telemetry,
        backend() as app,
        two(tmp_path, app.port, server, policy(authority, authority.sign(WEB), names=(API,)), otlp=telemetry.url) as pair,
    ):
        mesh_file = pair.api.settings.mesh_file
        whole = json.loads(mesh_file.read_text())
        node = next(each for each in whole["virtualNodes"] if each["virtualNodeName"] == "api")
        node["tags"] += [
            {"key": "meshscope/allow.web", "value": f"from={WEB} method=GET prefix=/pay"},
            {"key": "meshscope/deny.secret", "value": "path=/pay/secret"},
        ]
        mesh_file.write_text(json.dumps(whole))
        pair.api.reload()
        port = pair.web.egress_port
        assert (await get(port, "/pay/1")).status == 200
        refused = await get(port, "/pay/secret")
        assert (refused.status, refused.body) == (403, b"RBAC: access denied")
        assert (await get(port, "/pay/1", method="POST")).status == 403
        assert (await get(port, "/else")).status == 403
        raw = b"GET /pay/1 HTTP/1.1\r\nHost: api.local\r\n\r\n"
        assert b" 403 " in await ask_tls(pair.api.ingress_port, client_context(authority, other), raw)
        assert b" 403 " in await ask_tls(pair.api.ingress_port, None, raw)
        assert denied(pair.api) == {"rule": 1, "no_rule": 4}
        assert pair.api.ingress.counts.flags == {"UAEX": 5}
        assert len(app.received) == 1
        await until(lambda: sum(_denials(telemetry.events)) == 5)


def _denials(events: list[dict[str, object]]) -> list[float]:
    return [float(str(each["event.denied"])) for each in events if each["name"] == "mesh.access"]


@pytest.mark.parametrize(
    ("make", "status", "reason"),
    [
        pytest.param(lambda: token(), 200, None, id="good"),
        pytest.param(lambda: token(aud=["other", "shop"]), 200, None, id="one-of-its-audiences"),
        pytest.param(lambda: token(exp=-timedelta(seconds=5)), 200, None, id="within-the-leeway"),
        pytest.param(lambda: token(exp=-timedelta(minutes=20)), 401, "jwt_expired", id="over"),
        pytest.param(lambda: token(nbf=timedelta(minutes=20)), 401, "jwt_not_yet_valid", id="not-yet"),
        pytest.param(lambda: token(iss="https://else"), 401, "jwt_wrong_issuer", id="another-issuer"),
        pytest.param(lambda: token(aud="else"), 403, "jwt_wrong_audience", id="for-somebody-else"),
        pytest.param(lambda: token(aud=None), 401, "jwt_not_believed", id="for-nobody"),
        pytest.param(lambda: token(ec.generate_private_key(ec.SECP256R1())), 401, "jwt_not_signed", id="another-key"),
        pytest.param(lambda: token(kid="else"), 401, "jwt_unknown_key", id="unknown-key"),
        pytest.param(lambda: token()[:-4] + "AAAA", 401, "jwt_not_signed", id="spoilt"),
        pytest.param(lambda: "nonsense", 401, "jwt_malformed", id="nonsense"),
        pytest.param(lambda: jwt.encode({"iss": ISSUER, "aud": "shop"}, None, "none"), 401, "jwt_not_believed", id="unsigned"),
        pytest.param(lambda: "", 401, "jwt_missing", id="empty"),
    ],
)
async def test_a_token_must_be_believed(tmp_path: Path, make: Callable[[], str], status: int, reason: str | None) -> None:
    sent = make()
    keys = tmp_path / "keys.json"
    keys.write_text(key_set(old=OLD))
    async with backend() as app:
        text = api(app, jwt=f"issuer={ISSUER} keys={keys} audience=shop leeway=10m")
        async with proxies.proxy(text, tmp_path) as proxy:
            for _ in range(2):  # the second time it may be remembered
                assert (await with_token(proxy, sent)).status == status
            assert denied(proxy) == ({reason: 2} if reason else {})
            if status == 401:
                assert (await with_token(proxy, sent)).headers["www-authenticate"] == "Bearer"


async def test_a_missing_token_is_refused_unless_it_is_optional(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(key_set(old=OLD))
    spec = f"issuer={ISSUER} keys={keys} audience=shop"
    async with backend() as app:
        async with proxies.proxy(api(app, jwt=spec), tmp_path) as proxy:
            answer = await get(proxy.ingress_port, "/x")
            assert (answer.status, answer.body) == (401, b"Jwt is missing")
        rules = {"allow_public": "path=/public", "allow_admin": "claim.role=admin claim.scope=write"}
        async with proxies.proxy(api(app, jwt=spec + " optional", **rules), tmp_path) as proxy:
            assert (await get(proxy.ingress_port, "/public")).status == 200
            assert (await get(proxy.ingress_port, "/x")).status == 403
            assert (await with_token(proxy, token(role=["admin"], scope="read write"))).status == 200
            assert (await with_token(proxy, token(role="admin", scope="read"))).status == 403
            assert (await with_token(proxy, token(role="guest", scope="write"))).status == 403


async def test_keys_in_a_file_are_followed(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(key_set(old=OLD))
    async with backend() as app, proxies.proxy(api(app, jwt=f"issuer={ISSUER} keys={keys}"), tmp_path) as proxy:
        assert (await with_token(proxy, token())).status == 200
        keys.write_text("nonsense")
        guard = proxy.ingress.guard
        assert guard is not None
        await until(lambda: "1 failures" in repr(guard.tokens))
        assert (await with_token(proxy, token())).status == 200
        keys.write_text(key_set(new=NEW))
        await until_passes(proxy, token(NEW, "new"))
        assert (await with_token(proxy, token())).status == 401, "what was remembered is forgotten with its key"


async def test_keys_behind_a_url_are_fetched(tmp_path: Path) -> None:
    async with backend(lambda _: Reply(body=key_set(old=OLD).encode())) as issuer, backend() as app:
        text = api(app, jwt=f"issuer={ISSUER} keys=http://{issuer.address}/keys.json")
        async with proxies.proxy(text, tmp_path) as proxy:
            await until_passes(proxy, token())
            assert [request.target for request in issuer.received] == ["/keys.json"]


async def test_what_cannot_be_understood_is_told_before_anything_listens(tmp_path: Path) -> None:
    async with backend() as app:
        with pytest.raises(MeshFileError, match=r"web\.json:\d+: virtualNodes\[0\]\.tags: got `get`"):
            async with proxies.proxy(api(app, allow="method=get"), tmp_path):
                pass
        with pytest.raises(KeysUnusable, match="cannot be read"):
            async with proxies.proxy(api(app, jwt=f"issuer={ISSUER} keys={tmp_path}/none.json"), tmp_path):
                pass


async def test_http_2_is_judged_as_http_1_1_is(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.sign(WEB)
    server = listener(authority.sign(API), trust=authority)
    async with backend() as app, two(tmp_path, app.port, server, None) as pair:
        mesh_file = pair.api.settings.mesh_file
        whole = json.loads(mesh_file.read_text())
        node = next(each for each in whole["virtualNodes"] if each["virtualNodeName"] == "api")
        node["tags"].append({"key": "meshscope/allow.web", "value": f"from={WEB} path=/pay"})
        mesh_file.write_text(json.dumps(whole))
        pair.api.reload()
        options = ["--http2", "--cacert", str(authority.path), "--cert", str(own.chain), "--key", str(own.key)]
        forged = ["-H", "X-Forwarded-Client-Cert: URI=spiffe://shop/admin", "-k", "-s", "-o", "/dev/null"]
        answers = []
        for path in ("/pay", "/else"):
            url = f"https://127.0.0.1:{pair.api.ingress_port}{path}"
            told = ["-w", "%{http_version} %{http_code}"]
            process = await asyncio.create_subprocess_exec("curl", *options, *forged, *told, url, stdout=asyncio.subprocess.PIPE)
            answers.append((await process.communicate())[0].decode())
        assert answers == ["2 200", "2 403"]
        (request,) = app.received
        assert request.headers["x-forwarded-client-cert"].endswith(f";URI={WEB}")
        assert "admin" not in request.headers["x-forwarded-client-cert"]
