"""A world of its own, where iptables leads an application's connections to its proxy. Run it with ``unshare -rn``.

It prints what the application got as JSON.
"""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import uvloop

from tests.fakes.http_peers import Reply, backend, listening
from tests.fakes.proxies import mesh, node, proxy, route

ELSEWHERE = "10.9.9.9"
HTTP, BYTES, UNKNOWN = 80, 5432, 6000
"""The ports that the application calls: of an HTTP service, of a tcp service, of nobody in the mesh."""
SO_MARK, APPLICATION = 36, 7


def mesh_of(http: str, tcp: str, egress: str) -> str:
    """A mesh of one HTTP service and one tcp service, at those endpoints."""
    nodes = [node("a", [http]), node("b", [tcp], protocol="tcp")]
    made = json.loads(mesh([route("all", "/", {"a": 1})], nodes))
    made["mesh"]["spec"] = {"egressFilter": {"type": egress}}
    made["virtualRouters"][0]["spec"] = {"listeners": [{"portMapping": {"port": HTTP, "protocol": "http"}}]}
    target = {"action": {"weightedTargets": [{"virtualNode": "b", "weight": 1}]}}
    made["virtualRouters"].append(
        {
            "virtualRouterName": "db",
            "spec": {"listeners": [{"portMapping": {"port": BYTES, "protocol": "tcp"}}]},
            "routes": [{"routeName": "bytes", "spec": {"tcpRoute": target}}],
        }
    )
    provider = {"provider": {"virtualRouter": {"virtualRouterName": "db"}}}
    made["virtualServices"].append({"virtualServiceName": "db.local", "spec": provider})
    made["virtualNodes"][0]["spec"]["backends"].append({"virtualService": {"virtualServiceName": "db.local"}})
    return json.dumps(made)


def lead_to(port: int) -> None:
    """Redirect what the application says to the three ports; what its proxy says goes on (there, the user tells them apart)."""
    for each in (HTTP, BYTES, UNKNOWN):
        rule = f"iptables -t nat -A OUTPUT -p tcp --dport {each} -m mark --mark {APPLICATION} -j REDIRECT --to-ports {port}"
        subprocess.run(rule.split(), check=True)


async def say(host: str, port: int, what: bytes) -> str:
    """Return all that comes back."""
    connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, SO_MARK, APPLICATION)
    await asyncio.get_running_loop().sock_connect(connection, (host, port))
    reader, writer = await asyncio.open_connection(sock=connection)
    try:
        writer.write(what)
        writer.write_eof() if what.islower() else None
        return (await asyncio.wait_for(reader.read(), 10)).decode()
    except ConnectionError:
        return ""
    finally:
        writer.close()


async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.read()).upper())
    writer.write_eof()


async def live(folder: Path) -> dict[str, Any]:
    """Call everything as an application would that knows of no proxy."""
    ask = b"GET /x HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n"
    got: dict[str, Any] = {}
    async with backend(lambda request: Reply(body=b"routed")) as one, listening(upper) as two:
        text = mesh_of(one.address, f"127.0.0.1:{two}", "DROP_ALL")
        async with proxy(text, folder) as running:
            lead_to(running.egress_port)
            got["http"] = await say(ELSEWHERE, HTTP, ask % b"api.local")
            got["bytes"] = await say(ELSEWHERE, BYTES, b"hello")
            got["dropped"] = await say(ELSEWHERE, UNKNOWN, ask % b"other.local")
            got["direct"] = await say("127.0.0.1", running.egress_port, ask % b"api.local")
            (folder / "web.json").write_text(text.replace("DROP_ALL", "ALLOW_ALL"))
            running.reload()
            got["refused"] = await say(ELSEWHERE, UNKNOWN, b"hello")
            async with await asyncio.start_server(upper, ELSEWHERE, UNKNOWN):
                got["allowed"] = await say(ELSEWHERE, UNKNOWN, b"hello")
            got["flags"] = dict(running.egress.counts.flags)
            got["beyond"] = [target.name for target in running.beyond.targets]
    return got


if __name__ == "__main__":
    for command in (f"ip address add {ELSEWHERE}/32 dev lo", "ip link set lo up"):
        subprocess.run(command.split(), check=True)
    sys.stdout.write(json.dumps(uvloop.run(live(Path(sys.argv[1])))))
