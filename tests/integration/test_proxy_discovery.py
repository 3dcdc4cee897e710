"""Companion proxies find endpoints in a file, by DNS and in Cloud Map, and follow every change."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mesh_proxy.proxy import Proxy
from tests.fakes.http_peers import Backend, Received, Reply, backend, get, until
from tests.fakes.name_server import name_server
from tests.fakes.proxies import only, proxy


def found_by(discovery: dict[str, Any], *, node_port: int = 1) -> str:
    document = json.loads(only("127.0.0.1:1", port=node_port))
    document["virtualNodes"][1]["spec"]["serviceDiscovery"] = discovery
    return json.dumps(document)


def addresses(running: Proxy) -> list[str]:
    (target,) = [target for target in running.live.targets if target.name == "api"]
    return [endpoint.address for endpoint in target.circuit.endpoints]


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Backend, Backend]]:
    async with backend(lambda _: Reply(body=b"one")) as one, backend(lambda _: Reply(body=b"other")) as other:
        yield one, other


async def said(running: Proxy, times: int = 4) -> set[bytes]:
    return {(await get(running.egress_port, "/")).body for _ in range(times)}


async def test_a_watched_file_tells_endpoints_and_a_wrong_one_changes_nothing(
    tmp_path: Path, pair: tuple[Backend, Backend]
) -> None:
    one, other = pair
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps({"endpoints": [one.address]}))
    async with proxy(found_by({"file": {"path": str(file)}}), tmp_path) as running:
        await until(lambda: addresses(running) == [one.address])
        assert await said(running) == {b"one"}
        file.write_text(json.dumps({"endpoints": [one.address, {"address": other.address, "weight": 3}]}))
        await until(lambda: addresses(running) == [one.address, other.address])
        assert await said(running, 8) == {b"one", b"other"}
        file.write_text("endpoints: nobody")
        await until(lambda: running.discovery.failures)
        assert await said(running, 8) == {b"one", b"other"}
        file.write_text(json.dumps({"endpoints": [other.address]}))
        await until(lambda: addresses(running) == [other.address])
        assert await said(running) == {b"other"}


async def test_srv_records_are_followed_as_long_as_they_live(tmp_path: Path, pair: tuple[Backend, Backend]) -> None:
    one, other = pair
    async with name_server() as server:
        server.ttl = 0
        server.records = {("host.test", "A"): ["127.0.0.1"], ("_http._tcp.api.test", "SRV"): [f"1 1 {one.port} host.test."]}
        text = found_by({"dns": {"hostname": "_http._tcp.api.test"}})
        async with proxy(text, tmp_path, dns_server=server.address) as running:
            await until(lambda: addresses(running) == [one.address])
            assert await said(running) == {b"one"}
            server.records["_http._tcp.api.test", "SRV"] = [f"1 1 {other.port} host.test."]
            await until(lambda: addresses(running) == [other.address])
            assert await said(running) == {b"other"}
            server.failing = True
            await until(lambda: running.discovery.failures)
            assert await said(running) == {b"other"}


async def test_one_address_is_found_for_each_connection_as_the_mesh_prefers(
    tmp_path: Path, pair: tuple[Backend, Backend]
) -> None:
    one, _ = pair
    async with name_server() as server:
        server.records = {("lb.test", "A"): ["127.0.0.1"], ("lb.test", "AAAA"): ["::1"]}
        for preference, status in (("IPv4_PREFERRED", 200), ("IPv4_ONLY", 200), ("IPv6_ONLY", 503)):  # nobody is at ::1
            text = found_by({"dns": {"hostname": "lb.test", "ipPreference": preference}}, node_port=one.port)
            async with proxy(text, tmp_path, dns_server=server.address) as running:
                assert (await get(running.egress_port, "/")).status == status
                assert addresses(running) == [f"lb.test:{one.port}"]


class CloudMapService:
    """Answers DiscoverInstances as AWS does."""

    def __init__(self, *instances: dict[str, str]) -> None:
        self.instances = list(instances)
        self.failing = False
        self.calls: list[dict[str, Any]] = []

    def __call__(self, request: Received) -> Reply:
        assert request.headers["x-amz-target"] == "Route53AutoNaming_v20170314.DiscoverInstances"
        call = json.loads(request.body)
        self.calls.append(call)
        if self.failing:
            return Reply(500, b'{"__type": "InternalError"}', {"content-type": "application/x-amz-json-1.1"})
        fitting = [
            {
                "InstanceId": f"i-{number}",
                "NamespaceName": call["NamespaceName"],
                "ServiceName": call["ServiceName"],
                "HealthStatus": each.get("health", "HEALTHY"),
                "Attributes": {key: value for key, value in each.items() if key != "health"},
            }
            for number, each in enumerate(self.instances)
            if call["QueryParameters"].items() <= each.items() and call["HealthStatus"] in ("ALL", each.get("health", "HEALTHY"))
        ]
        body = json.dumps({"Instances": fitting, "InstancesRevision": 1}).encode()
        return Reply(200, body, {"content-type": "application/x-amz-json-1.1"})


async def test_cloud_map_tells_the_healthy_instances_with_the_attributes(
    tmp_path: Path, pair: tuple[Backend, Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair

    def instance(port: int, **more: str) -> dict[str, str]:
        return {"AWS_INSTANCE_IPV4": "127.0.0.1", "AWS_INSTANCE_PORT": str(port), "stage": "live", **more}

    service = CloudMapService(
        instance(one.port, AVAILABILITY_ZONE="eu-1a"),
        instance(other.port, health="UNHEALTHY"),
        instance(1, stage="test"),
    )
    async with backend(service) as aws:
        for name, value in {
            "AWS_ENDPOINT_URL_SERVICEDISCOVERY": f"http://{aws.address}",
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
        }.items():
            monkeypatch.setenv(name, value)
        known = {"namespaceName": "shop", "serviceName": "api", "attributes": [{"key": "stage", "value": "live"}]}
        async with proxy(found_by({"awsCloudMap": known}), tmp_path) as running:
            await until(lambda: addresses(running) == [one.address])
            assert await said(running) == {b"one"}
            assert running.live.targets[0].circuit.endpoints[0].zone == "eu-1a"
            assert service.calls[0] == {
                "NamespaceName": "shop",
                "ServiceName": "api",
                "MaxResults": 1000,
                "QueryParameters": {"stage": "live"},
                "HealthStatus": "HEALTHY",
            }
            service.failing = True
            await until(lambda: running.discovery.failures)
            assert await said(running) == {b"one"}
            service.failing, service.instances = False, [instance(other.port)]
            await until(lambda: addresses(running) == [other.address])
            assert await said(running) == {b"other"}
