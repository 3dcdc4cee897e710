"""Certificates are replaced under load, and no request fails: a few seconds of it, or two minutes if all faults are asked for."""

import asyncio
import os
from pathlib import Path

from mesh_proxy.proxy import Proxy
from tests.fakes.certificates import Authority
from tests.fakes.http_peers import answer_from, backend, until
from tests.fakes.tls_pairs import API, WEB, Two, ask, client_context, listener, policy, two

FULL = "MESHSCOPE_TEST_ALL_FAULTS" in os.environ
ROTATIONS, EVERY_S = (24, 5.0) if FULL else (3, 1.0)
CALLERS = 4
REQUEST = b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\n"


class Load:
    """Callers on kept connections through both proxies, and callers who make a new connection with TLS for each request."""

    def __init__(self, authority: Authority, pair: Two) -> None:
        self._authority, self._pair = authority, pair
        self.kept: list[int] = []
        self.new: list[bytes] = []
        self.over = False

    async def keep_asking(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._pair.web.egress_port)
        while not self.over:
            writer.write(REQUEST)
            self.kept.append((await answer_from(reader)).status)
        writer.close()

    async def ask_anew(self) -> None:
        own = self._authority.sign(WEB, at="another_web")
        while not self.over:
            self.new.append((await ask(self._pair.api.ingress_port, client_context(self._authority, own), REQUEST))[:12])


async def test_certificates_are_rotated_under_load_without_a_failed_request(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = listener(authority.sign(API), trust=authority, names=(WEB,))
    client = policy(authority, authority.sign(WEB), names=(API,))
    async with backend() as app, two(tmp_path, app.port, server, client) as pair:
        load = Load(authority, pair)
        async with asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(load.keep_asking())
            callers.create_task(load.ask_anew())
            for rotation in range(1, ROTATIONS + 1):
                asked = asyncio.get_running_loop().time()
                authority.sign(API)
                authority.sign(WEB)
                for proxy in (pair.api, pair.web):
                    await until(lambda proxy=proxy, done=rotation: _rotations(proxy) >= done)
                    _cut_idle(proxy)  # so that the next requests go by the new certificates
                await asyncio.sleep(max(0.0, EVERY_S - (asyncio.get_running_loop().time() - asked)))
            load.over = True
        assert set(load.kept) == {200}
        assert set(load.new) == {b"HTTP/1.1 200"}
        assert pair.web.egress.counts.flags == {}
        assert pair.api.ingress.counts.refused == {}
        tls = pair.web.live.targets[0].tls
        assert tls is not None
        assert tls.handshakes > ROTATIONS
        print(f"{len(load.kept)} requests on kept connections, {len(load.new)} on new ones, {tls.handshakes} handshakes")  # noqa: T201 - shown with -s


def _rotations(proxy: Proxy) -> int:
    return sum(context.rotations for context in proxy.keyring.contexts)


def _cut_idle(proxy: Proxy) -> None:
    """Let go of the connections to targets that no request is on."""
    for target in proxy.live.targets:
        for pool in target.pools.values():
            idle, pool.idle[:] = pool.idle[:], []
            for upstream in idle:
                upstream.close()
