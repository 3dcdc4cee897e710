"""Pages of the admin port that change something, or have a second name."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh_proxy.admin.pages import serve_admin
from mesh_proxy.proxy import Proxy
from tests.fakes.http_peers import Response, ask
from tests.fakes.proxies import only, proxy


@pytest.fixture(autouse=True)
def _level_stays() -> Iterator[None]:
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)


async def test_the_level_of_the_log_changes_while_the_proxy_runs(tmp_path: Path) -> None:
    async with proxy(only("127.0.0.1:1"), tmp_path) as running:
        for name in ("debug", "error"):
            assert json.loads((await asked(running, "POST", f"/logging/{name}")).body) == {"level": name}
            assert logging.getLogger("mesh_proxy").isEnabledFor(logging.INFO) == (name == "debug")
            assert json.loads((await asked(running, "GET", "/logging")).body) == {"level": name}
        assert (await asked(running, "POST", "/logging/loud")).status == 404
        assert (await asked(running, "GET", "/logging/debug")).status == 405
        assert logging.getLogger().level == logging.ERROR


async def test_the_routes_that_are_followed_are_shown_by_envoys_name_too(tmp_path: Path) -> None:
    async with proxy(only("127.0.0.1:1"), tmp_path) as running:
        ours, envoys = [await asked(running, "GET", path) for path in ("/config", "/config_dump")]
        assert ours.body == envoys.body
        assert json.loads(ours.body)["virtual_node"] == "web"


async def asked(running: Proxy, method: str, path: str) -> Response:
    server = await serve_admin(running, "127.0.0.1", 0)
    answer = await ask(server.sockets[0].getsockname()[1], f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    server.close()
    return answer
