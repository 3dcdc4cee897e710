"""Hosts that the mesh does not know, with DROP_ALL and with ALLOW_ALL."""

import json
from pathlib import Path
from random import Random

import pytest

from mesh_model.table import Target
from mesh_proxy.http.request import RequestHead
from mesh_proxy.routing import beyond
from mesh_proxy.routing.beyond import Beyond
from mesh_proxy.targets.target import LiveTarget
from tests.fakes import proxies
from tests.fakes.http_peers import backend, get


def mesh(egress: str | None) -> str:
    whole = json.loads(proxies.only("127.0.0.1:1"))
    if egress is not None:
        whole["mesh"]["spec"] = {"egressFilter": {"type": egress}}
    return json.dumps(whole)


@pytest.mark.parametrize("egress", [None, "DROP_ALL"])
async def test_only_declared_backends_are_called(tmp_path: Path, egress: str | None) -> None:
    async with backend() as outside, proxies.proxy(mesh(egress), tmp_path) as proxy:
        answer = await get(proxy.egress_port, "/x", host=outside.address)
        assert (answer.status, proxy.egress.counts.flags) == (404, {"NR": 1})
        assert outside.received == []


async def test_allow_all_calls_any_host_as_it_is_named(tmp_path: Path) -> None:
    async with backend() as outside, proxies.proxy(mesh("ALLOW_ALL"), tmp_path) as proxy:
        for host in (outside.address, f"LOCALHOST:{outside.port}"):
            assert (await get(proxy.egress_port, "/x?y=1", host=host)).status == 200
        assert [(request.target, request.headers["host"]) for request in outside.received] == [
            ("/x?y=1", outside.address),
            ("/x?y=1", f"LOCALHOST:{outside.port}"),
        ]
        assert [target.name for target in proxy.beyond.targets] == [outside.address, f"localhost:{outside.port}"]
        assert (await get(proxy.egress_port, "/x", host="127.0.0.1:1")).status == 503
        assert (await get(proxy.ingress_port, "/x", host=outside.address)).status == 503, "the ingress leads inside"
        mesh_file = proxy.settings.mesh_file
        mesh_file.write_text(mesh("DROP_ALL"))
        proxy.reload()
        assert (await get(proxy.egress_port, "/x", host=outside.address)).status == 404
        assert proxy.beyond.targets == []


async def test_a_request_does_not_go_round_in_circles(tmp_path: Path) -> None:
    async with proxies.proxy(mesh("ALLOW_ALL"), tmp_path) as proxy:
        assert (await get(proxy.egress_port, "/x", host=f"localhost:{proxy.egress_port}")).status == 404
        assert proxy.egress.counts.requests == 1


def head(host: str) -> RequestHead:
    return RequestHead(b"GET", b"/", host.encode(), [])


def filter_of(*, allow_all: bool, made: list[Target]) -> Beyond:
    def make(spec: Target) -> LiveTarget:
        made.append(spec)
        return LiveTarget(spec, lambda *_: None, random=Random(0))

    found = Beyond(make, lambda: 0.0)
    found.follow(allow_all=allow_all)
    return found


def test_aws_may_always_be_called() -> None:
    made: list[Target] = []
    drop = filter_of(allow_all=False, made=made)
    assert drop.route(head("s3.eu-central-1.amazonaws.com")) is not None
    assert drop.route(head("amazonaws.com.evil.org")) is None
    assert drop.route(head("evilamazonaws.com")) is None
    assert [(spec.name, spec.port) for spec in made] == [("s3.eu-central-1.amazonaws.com", 80)]


def test_hosts_are_bounded_and_the_longest_unasked_is_forgotten() -> None:
    allow = filter_of(allow_all=True, made=[])
    for number in range(beyond.MOST_HOSTS):
        assert allow.route(head(f"host-{number}.org")) is not None
    assert allow.route(head("host-0.org")) is not None
    assert allow.route(head("another.org")) is not None
    names = [target.name for target in allow.targets]
    assert len(names) == beyond.MOST_HOSTS
    assert "host-0.org" in names
    assert "host-1.org" not in names
    for target in allow.targets:
        target.active = 1
    assert allow.route(head("yet-another.org")) is None


@pytest.mark.parametrize("host", ["", ":80", "host:0", "host:65536"])
def test_what_is_no_address_is_not_called(host: str) -> None:
    assert filter_of(allow_all=True, made=[]).route(head(host)) is None
