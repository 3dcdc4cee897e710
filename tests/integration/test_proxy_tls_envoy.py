"""Mutual TLS between a companion proxy and a real Envoy, either way."""

from pathlib import Path

from tests.fakes import envoys
from tests.fakes.certificates import Authority
from tests.fakes.http_peers import backend, get
from tests.fakes.proxies import NO_RETRIES, proxy
from tests.fakes.tls_pairs import API, WEB, calling, listener, policy, two


async def test_envoy_calls_the_companion_proxy(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = listener(authority.sign(API), trust=authority, names=(WEB,))
    own = authority.sign(WEB)
    async with backend() as app, two(tmp_path, app.port, server, None) as pair:
        tls = envoys.client_tls(authority, own, API)
        async with envoys.envoy(tmp_path, pair.api.ingress_port, client_tls=tls) as port:
            assert (await get(port, "/x")).body == b"ok"
        tls = envoys.client_tls(authority, authority.sign("spiffe://shop/other"), API)
        async with envoys.envoy(tmp_path, pair.api.ingress_port, client_tls=tls) as port:
            assert (await get(port, "/x")).status == 503
        assert set(pair.api.ingress.counts.refused) == {"tls_wrong_name"}
        assert len(app.received) == 1


async def test_the_companion_proxy_calls_envoy(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own, other = authority.sign(WEB), authority.sign("spiffe://shop/other")
    tls = envoys.server_tls(authority, authority.sign(API), WEB)
    async with backend() as app, envoys.envoy(tmp_path, app.port, server_tls=tls) as port:
        for client, status in ((own, 200), (other, 503), (None, 503)):
            text = calling(f"127.0.0.1:{port}", policy(authority, client, names=(API,)), http={"retryPolicy": NO_RETRIES})
            async with proxy(text, tmp_path) as web:
                assert (await get(web.egress_port, "/x")).status == status
                end = web.live.targets[0].tls
                assert end is not None
                # Envoy is sometimes gone before its alert is read.
                assert bool(set(end.refused) & {"peer_refused", "cut"}) == (client is not own)
        assert len(app.received) == 1
