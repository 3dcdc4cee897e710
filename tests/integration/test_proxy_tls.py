"""TLS between companion proxies, and between them and others, with real sockets and real certificates."""

import asyncio
import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from mesh_proxy.admin.pages import stats
from mesh_proxy.admin.prometheus import text
from tests.fakes.certificates import Authority
from tests.fakes.http_peers import Received, Reply, ask, backend, collector, get, until
from tests.fakes.proxies import NO_RETRIES, proxy
from tests.fakes.tls_pairs import API, WEB, calling, client_context, listener, policy, server_context, two
from tests.fakes.tls_pairs import ask as ask_tls


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """An authority that nobody trusts."""
    return Authority(tmp_path, "stranger")


async def test_both_proxies_show_certificates_and_requests_pass(authority: Authority, tmp_path: Path) -> None:
    server = listener(authority.sign(API), trust=authority, names=(WEB,))
    client = policy(authority, authority.sign(WEB), names=(API,))
    async with backend() as app, two(tmp_path, app.port, server, client) as pair:
        for _ in range(3):
            assert (await get(pair.web.egress_port, "/x")).status == 200
        inbound = stats(pair.api)[1]["inbound"]  # type: ignore[index]
        assert inbound["tls"] == {"handshakes": 1, "resumed": 0}
        target = pair.web.live.targets[0]
        assert target.tls is not None
        assert (target.tls.handshakes, dict(target.tls.refused)) == (1, {})


async def test_large_bodies_pass_both_ways(authority: Authority, tmp_path: Path) -> None:
    large = bytes(range(256)) * 20_000

    def echo(request: Received) -> Reply:
        return Reply(body=request.body)

    async with (
        backend(echo) as app,
        two(tmp_path, app.port, listener(authority.sign(API)), policy(authority, names=(API,))) as pair,
    ):
        raw = b"POST / HTTP/1.1\r\nHost: api.local\r\nContent-Length: %d\r\n\r\n" % len(large)
        answer = await ask(pair.web.egress_port, raw + large)
        assert answer.body == large


async def test_strict_refuses_plain_and_permissive_takes_both(authority: Authority, tmp_path: Path) -> None:
    own = authority.sign(API)
    async with backend() as app:
        async with two(tmp_path, app.port, listener(own), None) as pair:
            assert await ask_tls(pair.api.ingress_port, None) == b""
            assert b"200" in await ask_tls(pair.api.ingress_port, client_context(authority))
            assert pair.api.ingress.counts.refused == {"tls_plain": 1}
        async with two(tmp_path, app.port, listener(own, "PERMISSIVE"), None) as pair:
            assert b"200" in await ask_tls(pair.api.ingress_port, None)
            assert b"200" in await ask_tls(pair.api.ingress_port, client_context(authority))
            assert pair.api.ingress.counts.refused == {}
        async with two(tmp_path, app.port, listener(own, "DISABLED"), None) as pair:
            assert b"200" in await ask_tls(pair.api.ingress_port, None)
            assert await ask_tls(pair.api.ingress_port, client_context(authority)) == b""


async def test_a_client_without_a_policy_follows_the_server(authority: Authority, tmp_path: Path) -> None:
    own = authority.sign(API)
    async with backend() as app:
        for mode, handshakes in (("STRICT", 1), ("PERMISSIVE", None), ("DISABLED", None)):
            async with two(tmp_path, app.port, listener(own, mode), None) as pair:
                assert (await get(pair.web.egress_port, "/x")).status == 200
                tls = pair.web.live.targets[0].tls
                assert (tls.handshakes if tls else None) == handshakes


@pytest.mark.parametrize(
    ("names", "wanted", "status"),
    [
        pytest.param((API, "api.local"), ("api.local",), 200, id="by-dns"),
        pytest.param((API, "api.local"), (API,), 200, id="by-spiffe"),
        pytest.param((API,), ("spiffe://shop/ap",), 503, id="not-by-part"),
        pytest.param((API,), ("spiffe://shop/API",), 503, id="uris-in-their-case"),
        pytest.param(("API.local",), ("api.LOCAL",), 200, id="hosts-in-any-case"),
        pytest.param(("*.shop.local",), ("api.shop.local",), 200, id="one-label"),
        pytest.param(("*.shop.local",), ("v1.api.shop.local",), 503, id="not-two-labels"),
        pytest.param((API, "127.0.0.1"), (), 200, id="by-discovery"),
        pytest.param((API,), (), 503, id="not-the-name-of-discovery"),
    ],
)
async def test_a_server_must_bear_the_name_that_is_wanted(
    authority: Authority, tmp_path: Path, names: tuple[str, ...], wanted: tuple[str, ...], status: int
) -> None:
    server = listener(authority.sign(*names))
    async with backend() as app, two(tmp_path, app.port, server, policy(authority, names=wanted)) as pair:
        assert (await get(pair.web.egress_port, "/x")).status == status
        tls = pair.web.live.targets[0].tls
        assert tls is not None
        assert set(tls.refused) == (set() if status == 200 else {"wrong_name"})
        if status != 200:
            assert pair.web.egress.counts.flags["UF,URX"] == 1


async def test_a_server_that_cannot_be_believed_is_not_called(authority: Authority, stranger: Authority, tmp_path: Path) -> None:
    cases = {
        "untrusted": stranger.sign("127.0.0.1", at="stranger_server"),
        "expired": authority.sign("127.0.0.1", at="late_server", expires_in=-timedelta(minutes=1)),
    }
    for reason, pair in cases.items():
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0, ssl=server_context(pair))
        port = server.sockets[0].getsockname()[1]
        text = calling(f"127.0.0.1:{port}", policy(authority), http={"retryPolicy": NO_RETRIES})
        async with proxy(text, tmp_path) as web:
            answer = await get(web.egress_port, "/x")
            tls = web.live.targets[0].tls
            assert (answer.status, dict(web.egress.counts.flags)) == (503, {"UF": 1})
            assert tls is not None
            assert tls.refused == {reason: 1}
        server.close()
        await server.wait_closed()


async def test_a_server_without_tls_is_not_called_by_a_client_that_insists(authority: Authority, tmp_path: Path) -> None:
    async with backend() as plain:
        text = calling(plain.address, policy(authority), http={"retryPolicy": NO_RETRIES})
        async with proxy(text, tmp_path) as web:
            assert (await get(web.egress_port, "/x")).status == 503
            assert plain.received == []


async def test_a_client_is_refused_by_reason(authority: Authority, stranger: Authority, tmp_path: Path) -> None:
    server = listener(authority.sign(API), trust=authority, names=(WEB,))
    clients = {
        "tls_no_certificate": None,
        "tls_untrusted": stranger.sign(WEB, at="stranger_client"),
        "tls_expired": authority.sign(WEB, at="late_client", expires_in=-timedelta(minutes=1)),
        "tls_wrong_name": authority.sign("spiffe://shop/other"),
    }
    async with backend() as app, two(tmp_path, app.port, server, None) as pair:
        for reason, client in clients.items():
            assert await ask_tls(pair.api.ingress_port, client_context(authority, client)) == b""
            assert pair.api.ingress.counts.refused == {reason: 1}
            pair.api.ingress.counts.refused.clear()
        assert b"200" in await ask_tls(pair.api.ingress_port, client_context(authority, authority.sign(WEB)))
        assert len(app.received) == 1


async def test_a_client_that_is_refused_answers_503_and_counts(authority: Authority, tmp_path: Path) -> None:
    server = listener(authority.sign(API), trust=authority)
    async with backend() as app, two(tmp_path, app.port, server, policy(authority, names=(API,))) as pair:
        assert (await get(pair.web.egress_port, "/x")).status == 503
        tls = pair.web.live.targets[0].tls
        assert tls is not None
        assert set(tls.refused) == {"peer_refused"}
        assert app.received == []


async def test_a_handshake_that_takes_too_long_ends(authority: Authority, tmp_path: Path) -> None:
    own = authority.sign(API)
    async with backend() as app:
        for mode in ("STRICT", "PERMISSIVE"):
            async with two(tmp_path, app.port, listener(own, mode), None) as pair:
                pair.api.ingress.limits = dataclasses.replace(pair.api.ingress.limits, head_s=0.05)
                reader, writer = await asyncio.open_connection("127.0.0.1", pair.api.ingress_port)
                assert await reader.read() == b""
                assert pair.api.ingress.counts.refused == {"tls_timeout": 1}
                writer.close()


async def test_connections_in_handshake_count(authority: Authority, tmp_path: Path) -> None:
    async with backend() as app, two(tmp_path, app.port, listener(authority.sign(API)), None) as pair:
        pair.api.ingress.limits = dataclasses.replace(pair.api.ingress.limits, connections=1)
        _, silent = await asyncio.open_connection("127.0.0.1", pair.api.ingress_port)
        assert await ask_tls(pair.api.ingress_port, client_context(authority)) == b""
        assert pair.api.ingress.counts.refused == {"connections": 1}
        silent.close()
        await until(lambda: pair.api.ingress.counts.refused["tls_closed"] == 1)
        assert b"200" in await ask_tls(pair.api.ingress_port, client_context(authority))


async def test_a_body_that_somebody_cut_is_not_taken_for_whole(authority: Authority, tmp_path: Path) -> None:
    """Without a length the end of the connection ends the body: with TLS only if the server says so."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf"
    for cut in (True, False):

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: bool = cut) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            await writer.drain()
            if cut:
                writer.transport.get_extra_info("socket").shutdown(1)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context(authority.sign("127.0.0.1")))
        text = calling(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", policy(authority))
        async with proxy(text, tmp_path) as web:
            whole = await ask_tls(web.egress_port, None, b"GET / HTTP/1.1\r\nHost: api.local\r\nConnection: close\r\n\r\n")
            await until(lambda: web.egress.counts.requests and not web.egress.in_flight)
            assert (web.egress.counts.flags["UC"], whole.endswith(b"0\r\n\r\n")) == ((1, False) if cut else (0, True))
        server.close()
        await server.wait_closed()


async def test_a_second_connection_resumes_the_first_ones_session(authority: Authority, tmp_path: Path) -> None:
    server = listener(authority.sign(API), trust=authority, names=(WEB,))
    client = policy(authority, authority.sign(WEB), names=(API,))
    async with backend() as app, two(tmp_path, app.port, server, client) as pair:
        assert (await get(pair.web.egress_port, "/x")).status == 200
        for connection in list(pair.api.ingress.connections):
            connection.transport.abort()
        await until(lambda: not pair.api.ingress.connections)
        assert (await get(pair.web.egress_port, "/x")).status == 200
        tls = pair.web.live.targets[0].tls
        assert tls is not None
        assert (tls.handshakes, tls.resumed) == (2, 1)


async def test_certificates_are_followed_while_connections_go_on(authority: Authority, tmp_path: Path) -> None:
    server = listener(authority.sign("old.local", at="api"), trust=authority, names=(WEB,))
    client = policy(authority, authority.sign(WEB), names=("old.local", "new.local"))
    async with (
        collector() as telemetry,
        backend() as app,
        two(tmp_path, app.port, server, client, otlp=telemetry.url) as pair,
    ):
        assert (await get(pair.web.egress_port, "/x")).status == 200
        authority.sign("new.local", at="api")
        await until(lambda: [each["event.action"] for each in telemetry.events if each["name"] == "mesh.certificate"])
        assert (await get(pair.web.egress_port, "/x")).status == 200
        tls = pair.web.live.targets[0].tls
        assert tls is not None
        assert tls.handshakes == 1, "the kept connection stays as it is"
        told = text(pair.api).decode() + text(pair.web).decode()
        assert f'meshscope_proxy_certificate_rotations_total{{certificate="{tmp_path}/api.pem"}} 1\n' in told
        assert 'meshscope_proxy_tls_handshakes_total{listener="ingress"} 1\n' in told
        assert 'meshscope_proxy_tls_handshakes_total{target="api"} 1\n' in told
        shown = stats(pair.api)[1]["certificates"][0]  # type: ignore[index]
        assert (shown["identity"], shown["rotations"], shown["rejections"]) == ("new.local", 1, 0)
        event = next(each for each in telemetry.events if each["name"] == "mesh.certificate")
        assert event["event.action"] == "rotated"
        assert event["event.expires_at"] == shown["expires_at"]
        assert str(event["target"]).endswith("api.pem")


async def test_a_reload_tells_at_once_that_a_certificate_is_unusable_and_keeps_the_old_one(
    authority: Authority, tmp_path: Path
) -> None:
    own = authority.sign(API)
    async with backend() as app, two(tmp_path, app.port, listener(own), None) as pair:
        own.chain.write_bytes(b"nonsense")
        pair.api.reload()
        shown = stats(pair.api)[1]["certificates"][0]  # type: ignore[index]
        assert (shown["rotations"], shown["rejections"]) == (0, 1)
        assert b"200" in await ask_tls(pair.api.ingress_port, client_context(authority))


async def test_a_reload_changes_the_mode_for_connections_to_come(authority: Authority, tmp_path: Path) -> None:
    own = authority.sign(API)
    async with backend() as app, two(tmp_path, app.port, listener(own), None) as pair:
        kept, writer = await asyncio.open_connection("127.0.0.1", pair.api.ingress_port, ssl=client_context(authority))
        mesh_file = pair.api.settings.mesh_file
        mesh_file.write_text(mesh_file.read_text().replace("STRICT", "DISABLED"))
        pair.api.reload()
        assert b"200" in await ask_tls(pair.api.ingress_port, None)
        writer.write(b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\n")
        assert b"200" in await kept.read(1024)
        writer.transport.abort()
