import asyncio
import contextlib
import json
from collections import Counter
from pathlib import Path

import pytest

from mesh_proxy.proxy import Proxy
from mesh_proxy.settings import ProxySettings
from tests.fakes.http2_server import Asked, http2_server
from tests.fakes.http_peers import Reply, answer_from, ask, backend, get, listening
from tests.fakes.proxies import mesh, node, only, proxy, route


def named(name: str) -> Reply:
    return Reply(body=name.encode())


async def test_the_longest_prefix_wins_and_the_rest_goes_to_the_shorter(tmp_path: Path) -> None:
    async with backend(lambda _: named("all")) as one, backend(lambda _: named("pay")) as two:
        text = mesh(
            [route("all", "/", {"one": 1}), route("pay", "/pay", {"two": 1})],
            [node("one", [one.address]), node("two", [two.address])],
        )
        async with proxy(text, tmp_path) as running:
            assert (await get(running.egress_port, "/pay/1?x=1")).body == b"pay"
            assert (await get(running.egress_port, "/other")).body == b"all"
            assert (await get(running.egress_port, "/other/../pay")).body == b"pay"
            assert two.received[0].target == "/pay/1?x=1"
            assert two.received[1].target == "/pay"


async def test_hosts_are_told_apart_without_port_and_case_and_unknown_ones_have_no_route(tmp_path: Path) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path) as running:
        assert (await get(running.egress_port, "/", "API.local:8080")).status == 200
        assert (await ask(running.egress_port, b"GET http://api.local/x?y HTTP/1.1\r\nHost: other\r\n\r\n")).status == 200
        assert one.received[1].target == "/x?y"
        assert one.received[1].headers["host"] == "api.local"
        assert (await get(running.egress_port, "/", "one")).status == 404
        assert running.egress.counts.flags == {"NR": 1}


async def test_weights_share_the_requests(tmp_path: Path) -> None:
    async with backend(lambda _: named("v1")) as one, backend(lambda _: named("v2")) as two:
        text = mesh([route("all", "/", {"v1": 90, "v2": 10})], [node("v1", [one.address]), node("v2", [two.address])])
        async with proxy(text, tmp_path) as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
            answers: Counter[bytes] = Counter()
            for _ in range(400):
                writer.write(b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\n")
                answers[(await answer_from(reader)).body] += 1
            writer.close()
            assert 10 <= answers[b"v2"] <= 90
            assert answers.total() == 400
            assert one.connections == two.connections == 1


async def test_endpoints_of_a_target_take_turns(tmp_path: Path) -> None:
    async with backend(lambda _: named("a")) as one, backend(lambda _: named("b")) as two:
        text = mesh([route("all", "/", {"api": 1})], [node("api", [one.address, two.address])])
        async with proxy(text, tmp_path) as running:
            bodies = [(await get(running.egress_port, "/")).body for _ in range(4)]
            assert sorted(bodies[:2]) == sorted(bodies[2:]) == [b"a", b"b"]


async def test_the_ingress_hands_every_host_to_its_application(tmp_path: Path) -> None:
    async with backend() as application:
        text = mesh([route("all", "/", {"web": 1})], [], port=application.port)
        async with proxy(text, tmp_path) as running:
            assert (await get(running.ingress_port, "/", "anything")).body == b"ok"
            assert (await get(running.ingress_port, "/", "api.local")).body == b"ok"


async def test_headers_of_one_hop_end_there(tmp_path: Path) -> None:
    reply = Reply(headers={"Keep-Alive": "timeout=5", "X-App": "1", "Connection": "keep-alive, X-Hop", "X-Hop": "2"})
    async with backend(lambda _: reply) as one, proxy(only(one.address), tmp_path) as running:
        answer = await get(
            running.egress_port,
            "/",
            Connection="keep-alive, X-Mine",
            X_Mine="1",
            TE="trailers",
            Proxy_Connection="x",
            X_Other="2",
        )
        assert answer.headers["x-app"] == "1"
        assert not {"keep-alive", "connection", "x-hop"} & answer.headers.keys()
        got = one.received[0].headers
        assert got["x-other"] == "2"
        assert not {"x-mine", "proxy-connection"} & got.keys()
        assert (got["te"], got["connection"]) == ("trailers", "te"), "the proxy's own: it takes trailers for this client"


async def test_pipelined_requests_are_answered_in_their_order(tmp_path: Path) -> None:
    async with (
        backend(lambda request: Reply(body=request.target.encode(), status=200 if request.body != b"abc" else 201)) as one,
        proxy(only(one.address), tmp_path) as running,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        nowhere = b"GET /no HTTP/1.1\r\nHost: none\r\n\r\n" * 2000
        writer.write(
            b"GET /1 HTTP/1.1\r\nHost: api.local\r\n\r\n"
            b"POST /2 HTTP/1.1\r\nHost: api.local\r\nContent-Length: 3\r\n\r\nabc"
            b"POST /3 HTTP/1.1\r\nHost: api.local\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            + nowhere
            + b"GET /4 HTTP/1.1\r\nHost: api.local\r\nConnection: close\r\n\r\n"
        )
        answers = [await answer_from(reader) for _ in range(2004)]
        assert [answer.body for answer in answers[:3]] == [b"/1", b"/2", b"/3"]
        assert [answer.status for answer in answers[:3]] == [200, 201, 201]
        assert {answer.status for answer in answers[3:-1]} == {404}
        assert (answers[-1].body, answers[-1].headers["connection"]) == (b"/4", "close")
        assert "connection" not in answers[0].headers
        assert await reader.read() == b""
        writer.close()


async def test_head_has_no_body_and_the_connection_goes_on(tmp_path: Path) -> None:
    async with backend(lambda _: Reply(body=b"12345")) as one, proxy(only(one.address), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"HEAD / HTTP/1.1\r\nHost: api.local\r\n\r\n")
        answer = await answer_from(reader, head_only=True)
        assert (answer.status, answer.headers["content-length"]) == (200, "5")
        writer.write(b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\n")
        assert (await answer_from(reader)).body == b"12345"
        writer.close()
        assert one.connections == 1


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"HTTP/1.0 200 OK\r\n\r\nuntil the end"])
async def test_a_body_that_ends_with_its_connection_becomes_chunked(tmp_path: Path, raw: bytes) -> None:
    async with backend(lambda _: Reply(raw=raw, cut=True)) as one, proxy(only(one.address), tmp_path) as running:
        answer = await get(running.egress_port, "/")
        assert answer.body == b"until the end"
        assert answer.headers["transfer-encoding"] == "chunked"


async def test_http_1_0_clients_get_what_they_understand(tmp_path: Path) -> None:
    async with backend(lambda _: Reply(chunks=[b"ab", b"cd"])) as one, proxy(only(one.address), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"GET / HTTP/1.0\r\nHost: api.local\r\n\r\n")
        raw = await reader.read()
        assert raw.endswith(b"\r\n\r\nabcd")
        assert b"chunked" not in raw
        writer.close()


async def test_interim_answers_are_kept_from_the_client(tmp_path: Path) -> None:
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with backend(lambda _: Reply(raw=raw)) as one, proxy(only(one.address), tmp_path) as running:
        answer = await get(running.egress_port, "/")
        assert (answer.status, answer.body, "link" in answer.headers) == (200, b"ok", False)


@pytest.mark.parametrize("protocol", ["http", "http2"])
async def test_a_client_that_expects_hears_what_the_endpoint_says(tmp_path: Path, protocol: str) -> None:
    async def want(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"expect: 100-continue\r\n" in head
            if b"/unwanted" in head:
                writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
                await reader.read()
                return
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + await reader.readexactly(2))

    def invite(asked: Asked) -> None:
        asked.answer(asked.body)

    raw = b"POST /%b HTTP/1.1\r\nHost: api.local\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    async with contextlib.AsyncExitStack() as stack:
        if protocol == "http":
            address = f"127.0.0.1:{await stack.enter_async_context(listening(want))}"
        else:
            server = await stack.enter_async_context(http2_server(invite))
            server.on_head = lambda asked: asked.invite() if asked.headers["expect"] == "100-continue" else None
            address = server.address
        running = await stack.enter_async_context(proxy(only(address, protocol=protocol), tmp_path))
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(raw % b"")
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert (await answer_from(reader)).body == b"hi", "one invitation is enough"
        if protocol == "http":
            writer.write(raw % b"unwanted")
            assert (await answer_from(reader)).status == 401
        writer.close()


async def test_an_offer_to_upgrade_is_not_taken_up(tmp_path: Path) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        offer = b"GET / HTTP/1.1\r\nHost: api.local\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        writer.write(offer * 3)
        assert [(await answer_from(reader)).status for _ in range(3)] == [200, 200, 200]
        assert "upgrade" not in one.received[0].headers
        writer.close()


async def test_a_service_that_nobody_provides_has_no_route(tmp_path: Path) -> None:
    async with backend() as one:
        document = json.loads(only(one.address))
        document["virtualServices"].append({"virtualServiceName": "nobody.local", "spec": {}})
        document["virtualNodes"][0]["spec"]["backends"].append({"virtualService": {"virtualServiceName": "nobody.local"}})
        async with proxy(json.dumps(document), tmp_path) as running:
            assert (await get(running.egress_port, "/", "nobody.local")).status == 404
            assert running.egress.counts.flags == {"NR": 1}


async def test_a_template_and_manifests_in_a_folder_are_followed(tmp_path: Path) -> None:
    async with backend() as one:
        folder = tmp_path / "web.json"
        folder.mkdir()
        (folder / "mesh.yaml").write_text(
            "apiVersion: appmesh.k8s.aws/v1beta2\nkind: Mesh\nmetadata: {name: test}\nspec: {}\n---\n"
            "apiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualNode\nmetadata: {name: web}\n"
            "spec: {awsName: web, backends: [{virtualService: {virtualServiceRef: {name: api, namespace: shop}}}]}\n"
        )
        (folder / "template.yml").write_text(
            "Resources:\n  Node:\n    Type: AWS::AppMesh::VirtualNode\n    Properties:\n      MeshName: test\n      Spec:\n"
            "        Listeners: [{PortMapping: {Port: 80, Protocol: http}}]\n"
            f"        ServiceDiscovery: {{Static: {{Endpoints: ['{one.address}']}}}}\n"
            "  Service:\n    Type: AWS::AppMesh::VirtualService\n    Properties:\n      MeshName: test\n"
            "      VirtualServiceName: api.shop\n"
            "      Spec: {Provider: {VirtualNode: {VirtualNodeName: !GetAtt Node.VirtualNodeName}}}\n"
        )
        running = Proxy(ProxySettings(folder, "web", ingress_port=0, egress_port=0))
        await running.start()
        try:
            assert (await get(running.egress_port, "/", "api.shop")).status == 200
        finally:
            await running.stop()
