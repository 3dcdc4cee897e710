import os
from pathlib import Path
from random import Random

import pytest

from core.clock import SystemClock
from mesh_model.endpoints import Dns, FileEndpoints, IpPreference
from mesh_model.table import Target
from mesh_proxy.discovery.endpoints_file import WatchedFile, read_places
from mesh_proxy.discovery.keeping import Discovery
from mesh_proxy.discovery.names_dns import DnsEndpoints, DnsNames, bounded
from mesh_proxy.discovery.places import NotFound
from mesh_proxy.targets.outlier import Place
from mesh_proxy.targets.target import LiveTarget
from tests.fakes.http_peers import until
from tests.fakes.name_server import name_server


def live(discovery: Dns | FileEndpoints) -> LiveTarget:
    return LiveTarget(Target("api", "api", "api", "", discovery, port=8080), lambda *_: None, random=Random(1))


def test_a_loadbalancer_is_one_address_by_name() -> None:
    target = live(Dns("api.internal"))
    assert list(target.pools) == ["api.internal:8080"]
    assert target.admit(0.0, ()) is not None


async def test_hosts_of_the_system_are_known_without_a_server() -> None:
    target, discovery = live(Dns("localhost", "ENDPOINTS")), Discovery(SystemClock(), Random(1))
    assert target.admit(0.0, ()) is None
    discovery.follow([target])
    await until(lambda: target.pools)
    assert "127.0.0.1:8080" in target.pools
    await discovery.close()


@pytest.mark.parametrize(
    ("preference", "expected"),
    [
        (None, ["10.0.0.1:80", "10.0.0.2:80"]),
        ("IPv4_PREFERRED", ["10.0.0.1:80", "10.0.0.2:80"]),
        ("IPv4_ONLY", ["10.0.0.1:80", "10.0.0.2:80"]),
        ("IPv6_PREFERRED", ["[fd00::1]:80"]),
        ("IPv6_ONLY", ["[fd00::1]:80"]),
    ],
)
async def test_the_preferred_addresses_are_found(preference: IpPreference | None, expected: list[str]) -> None:
    async with name_server() as server:
        server.ttl = 17
        server.records = {("api.test", "A"): ["10.0.0.2", "10.0.0.1"], ("api.test", "AAAA"): ["fd00::1"]}
        names = DnsNames([server.address])
        found = await DnsEndpoints(names, "api.test", 80, preference).find()
        assert ([place.address for place in found.places], found.for_s) == (expected, 17)
        await names.close()


@pytest.mark.parametrize(("preference", "address"), [("IPv6_PREFERRED", "10.0.0.1:80"), ("IPv6_ONLY", None)])
async def test_preferred_is_not_only(preference: IpPreference, address: str | None) -> None:
    async with name_server() as server:
        server.records = {("four.test", "A"): ["10.0.0.1"]}
        names = DnsNames([server.address])
        asking = DnsEndpoints(names, "four.test", 80, preference)
        if address is None:
            with pytest.raises(NotFound, match=r"four\.test"):
                await asking.find()
        else:
            assert [place.address for place in (await asking.find()).places] == [address]
        await names.close()


async def test_srv_records_bring_ports_and_weights_of_the_best_priority() -> None:
    async with name_server() as server:
        server.ttl = 0  # c-ares remembers the others
        server.records = {
            ("_http._tcp.api.test", "SRV"): ["1 30 8001 a.test.", "1 10 8002 b.test.", "5 10 8003 c.test."],
            ("a.test", "A"): ["10.0.0.1"],
            ("b.test", "A"): ["10.0.0.2"],
        }
        names = DnsNames([server.address])
        found = await DnsEndpoints(names, "_http._tcp.api.test", 80).find()
        assert found.places == [Place("10.0.0.1:8001", 30), Place("10.0.0.2:8002", 10)]
        server.records["b.test", "A"] = []
        found = await DnsEndpoints(names, "_http._tcp.api.test", 80).find()
        assert found.places == [Place("10.0.0.1:8001")], "one that does not resolve does not take the others along"
        await names.close()


def test_a_time_to_live_is_believed_within_bounds() -> None:
    assert [bounded(ttl) for ttl in (0, 1, 60, 86_400)] == [1.0, 1.0, 60.0, 300.0]


async def test_what_fails_keeps_the_endpoints_and_is_asked_again() -> None:
    async with name_server() as server:
        server.records, server.ttl = {("api.test", "A"): ["10.0.0.1"]}, 0
        target, discovery = live(Dns("api.test", "ENDPOINTS")), Discovery(SystemClock(), Random(1), server.address)
        discovery.follow([target])
        await until(lambda: list(target.pools) == ["10.0.0.1:8080"])
        server.failing = True
        await until(lambda: discovery.failures >= 1)
        assert list(target.pools) == ["10.0.0.1:8080"]
        server.failing, server.records = False, {("api.test", "A"): ["10.0.0.1", "10.0.0.3"]}
        await until(lambda: list(target.pools) == ["10.0.0.1:8080", "10.0.0.3:8080"])
        discovery.follow([])
        await discovery.close()


async def test_a_file_is_read_anew_when_it_changes_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "endpoints.yaml"
    file.write_text("endpoints: [10.0.0.1:80, {address: '10.0.0.2:80', weight: 3, zone: eu-1a}]\n")
    watched = WatchedFile(str(file))
    found = await watched.find()
    assert found.places == [Place("10.0.0.1:80"), Place("10.0.0.2:80", 3, "eu-1a")]
    assert await watched.find() is found
    file.write_text("endpoints: [10.0.0.1]\n")
    with pytest.raises(NotFound, match=r"endpoints.yaml:1: endpoints\[0\]: got `10.0.0.1`; expected an address"):
        await watched.find()
    other = tmp_path / "other"
    other.write_text('{"endpoints": ["10.0.0.3:80"]}')
    os.replace(other, file)
    assert (await watched.find()).places == [Place("10.0.0.3:80")]
    file.unlink()
    with pytest.raises(NotFound, match="cannot be read"):
        await watched.find()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("endpoints: [{address: 'a:1', weight: 0}]", "whole number"),
        ("endpoints: [{adress: 'a:1'}]", "got a mapping"),
        ("endpoints: ['a:99999']", "an address such as"),
        ("servers: []", "unknown field"),
        ("endpoints: [", "not YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(text: str, problem: str) -> None:
    with pytest.raises(NotFound, match=problem):
        read_places(text, "endpoints.yaml")
