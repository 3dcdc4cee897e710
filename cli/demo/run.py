"""Runs the demo: Meshscope, the mesh's proxies and applications, customers, and a failing ledger."""

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import msgspec
from jinja2 import Environment, StrictUndefined
from rich.console import Console

from cli.demo.plan import Node, free_ports, mesh_file, nodes
from cli.demo.processes import Processes
from cli.demo.summary import Asking, findings, table
from cli.demo.traffic import Traffic
from cli.demo.webhook import Webhook
from cli.servers import HttpServer
from core.clock import Clock, SystemClock

RATE = 15.0
START_S, SETTLE_S = 60.0, 30.0


async def run(*, http_port: int, duration: float | None, directory: Path | None) -> bool:
    """Run the demo for ``duration`` seconds, or until Ctrl-C, and return whether all that it should show was seen."""
    clock, console = SystemClock(), Console()
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        home = directory or Path(stack.enter_context(TemporaryDirectory(prefix="meshscope-demo-")))
        home.mkdir(parents=True, exist_ok=True)
        demo = Demo(home, http_port, clock, console)
        stack.push_async_callback(demo.stop)
        await demo.start(stopping)
        if stopping.is_set():
            return True
        await demo.watch(stopping, duration)
        return await demo.judge() if duration is not None and not stopping.is_set() else True


class Demo:
    """All processes of the demo and the two parts that run here: the customers and the webhook."""

    def __init__(self, home: Path, http_port: int, clock: Clock, console: Console) -> None:
        self._home, self._clock, self._console = home, clock, console
        self._url = f"http://127.0.0.1:{http_port}"
        self._http_port = http_port
        self._nodes = nodes()
        self._otlp_http, self._otlp_grpc, self._control, self._webhook_port = free_ports(4)
        self._processes = Processes(home, clock)
        self._webhook = Webhook(console)
        self._stack = AsyncExitStack()
        self._traffic: asyncio.Task[None] | None = None
        self._since = ""

    async def start(self, stopping: asyncio.Event) -> None:
        """Start everything, in the order of need; return when traffic flows, or when asked to stop."""
        self._client = await self._stack.enter_async_context(httpx.AsyncClient(base_url=self._url, timeout=30))
        starting = asyncio.create_task(self._start())
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait([starting, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not starting.done():
            starting.cancel()
            return
        starting.result()

    async def _start(self) -> None:
        self._console.print("starting Meshscope")
        rules = self._write("rules.toml", _rules(self._webhook_port))
        mesh = self._write("mesh.yaml", mesh_file(self._nodes))
        plan = self._write("nodes.json", msgspec.json.encode(self._nodes).decode())
        await self._serve_webhook()
        await self._processes.start(
            "up",
            *("up", "--data-dir", str(self._home / "data"), "--rules", str(rules), "--external-url", self._url),
            *("--http-port", str(self._http_port)),
            *("--otlp-http-port", str(self._otlp_http), "--otlp-grpc-port", str(self._otlp_grpc)),
        )
        endpoint = f"http://127.0.0.1:{self._otlp_http}"
        await self._processes.until("Meshscope being ready", partial(self._answers, f"{self._url}/readyz"), START_S)
        self._console.print(f"starting {len(self._nodes)} services, each with its proxy")
        await self._processes.start("services", "demo-services", str(plan), endpoint, str(self._control))
        for node in self._nodes:
            await self._start_proxy(node, mesh, endpoint)
        for url in [_admin(node, "ready") for node in self._nodes] + [f"http://127.0.0.1:{self._control}/sent"]:
            await self._processes.until(f"{url} answering", partial(self._answers, url), START_S)
        self._since = datetime.fromtimestamp(self._clock.now(), UTC).isoformat()
        traffic = Traffic(self._node("gateway").ingress_port, RATE, self._clock)
        self._traffic = asyncio.create_task(traffic.run())
        self._console.print(f"[bold]Meshscope shows the mesh at {self._url}/?since=5m[/]", soft_wrap=True)
        self._console.print(f"OTLP/HTTP is taken at {endpoint}; files of this run are in {self._home}", soft_wrap=True)

    async def watch(self, stopping: asyncio.Event, duration: float | None) -> None:
        """Wait for ``duration`` seconds, or to be stopped; raise DemoFailed when a process ends before."""
        deadline = self._clock.monotonic() + duration if duration is not None else None
        while not stopping.is_set() and (deadline is None or self._clock.monotonic() < deadline):
            self._processes.check()
            await self._clock.sleep(0.2)

    async def judge(self) -> bool:
        """Stop the customers, let all telemetry arrive, and judge what the API shows."""
        await self._stop_traffic()
        asking = Asking(self._client, self._since)
        sent = await self._sent()

        async def arrived() -> bool:
            return await asking.spans_stored() >= sent

        await self._processes.until("every span being stored", arrived, SETTLE_S)
        # Edges settle after the patience with lone halves: the same answer twice says that they have.
        before: object = None
        deadline = self._clock.monotonic() + SETTLE_S
        while (
            (edges := (await asking.since_then("topology"))["edges"])
            and _calls(edges) != before
            and self._clock.monotonic() < deadline
        ):
            before = _calls(edges)
            await self._clock.sleep(8)
        found = await findings(asking, sent=sent, webhooks_received=len(self._webhook.received))
        self._console.print(table(found))
        return all(finding.good for finding in found)

    async def stop(self) -> None:
        """Stop all, the last started first."""
        await self._stop_traffic()
        await self._processes.stop()
        await self._stack.aclose()

    async def _stop_traffic(self) -> None:
        if self._traffic:
            self._traffic.cancel()
            await asyncio.wait([self._traffic])
            self._traffic = None

    async def _sent(self) -> int:
        """Return how many spans all senders had taken by the collector; wait until none has any left."""
        total = 0

        async def all_sent() -> bool:
            nonlocal total
            stats = [(await self._client.get(_admin(node, "stats"))).json()["spans"] for node in self._nodes]
            total = sum(each["exported"] for each in stats)
            return all(each["exported"] + sum(each["dropped"].values()) == each["created"] for each in stats)

        await self._processes.until("every proxy having sent its spans", all_sent, SETTLE_S)
        return total + int((await self._client.get(f"http://127.0.0.1:{self._control}/sent")).json()["spans"])

    async def _answers(self, url: str) -> bool:
        return (await self._client.get(url)).is_success

    async def _serve_webhook(self) -> None:
        server = HttpServer(self._webhook.app, "127.0.0.1", self._webhook_port, name="webhook", lifespan=False)
        self._stack.push_async_callback(server.stop, 1.0)
        await server.start()

    async def _start_proxy(self, node: Node, mesh: Path, endpoint: str) -> None:
        ports = (
            "--ingress-port",
            str(node.ingress_port),
            "--egress-port",
            str(node.egress_port),
            "--admin-port",
            str(node.admin_port),
        )
        await self._processes.start(f"proxy-{node.name}", "proxy", str(mesh), node.name, *ports, "--otlp-endpoint", endpoint)

    def _node(self, service: str) -> Node:
        return next(node for node in self._nodes if node.service == service)

    def _write(self, name: str, text: str) -> Path:
        file = self._home / name
        file.write_text(text, "utf-8")
        return file


def _admin(node: Node, page: str) -> str:
    return f"http://127.0.0.1:{node.admin_port}/{page}"


def _rules(webhook_port: int) -> str:
    template = resources.files(__package__).joinpath("rules.toml.j2").read_text("utf-8")
    return Environment(undefined=StrictUndefined, autoescape=False).from_string(template).render(webhook_port=webhook_port)


def _calls(edges: list[dict[str, object]]) -> object:
    return sorted((str(edge["source"]), str(edge["destination"]), edge["calls"]) for edge in edges)
