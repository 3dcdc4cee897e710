"""Several workers, each a process and a whole proxy, that share the ports: one keeps the sockets, and the others running.

Each worker listens with a socket of its own on the same port, and the kernel spreads the connections. The sockets are ours, so
that a worker may be replaced and nobody who connects meanwhile is turned away: its successor takes its socket over.
Limits, circuits and balancing are each worker's own.
"""

import asyncio
import logging
import signal
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.backoff import backoff_s
from core.clock import Clock, SystemClock
from mesh_proxy.admin.worker_answers import Answer, ask, together
from mesh_proxy.settings import ProxySettings, door_of

READY_S = 30.0
LOOK_S = 0.05
SLACK_S = 5.0
"""How long beyond its drain time a worker may take to end."""

RESTART_BASE_S, RESTART_CAP_S = 0.2, 10.0
STEADY_S = 30.0
"""A worker that has run for so long was well when it started."""

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Worker:
    """One process, and where it answers for itself."""

    index: int
    process: asyncio.subprocess.Process
    admin: Path
    started: float
    leaving: bool = False


class Workers:
    """Keeps ``count`` workers running. ``command`` says how a proxy with given settings is started as a process."""

    def __init__(
        self, settings: ProxySettings, count: int, command: Callable[[ProxySettings], Sequence[str]], clock: Clock | None = None
    ) -> None:
        self._settings, self._count, self._command, self._clock = settings, count, command, clock or SystemClock()
        ports = {"ingress": settings.ingress_port} | {door_of(listener): port for listener, port in settings.listener_ports}
        self._ports = ports if settings.gateway else ports | {"egress": settings.egress_port}
        self._sockets: dict[int, dict[str, socket.socket]] = {}
        self._workers: dict[int, Worker] = {}
        self._failures = [0] * count
        self._made = 0
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewing = False

    def __repr__(self) -> str:
        return f"<Workers {[worker.process.pid for worker in self._workers.values()]}>"

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit status. SIGHUP reloads all, SIGUSR2 replaces each worker by a new one.

        When a worker does not start at all, its exit status is returned. Raises OSError when a port is taken.
        """
        loop = asyncio.get_running_loop()
        with tempfile.TemporaryDirectory(prefix="meshscope-proxy-") as folder:
            self._folder = Path(folder)
            self._listen()
            admin = await asyncio.start_server(self._answer, self._settings.host, self._settings.admin_port)
            try:
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.add_signal_handler(number, self._end, 0)
                loop.add_signal_handler(signal.SIGHUP, self._signal_all, signal.SIGHUP)
                loop.add_signal_handler(signal.SIGUSR2, self._renew)
                for status in await asyncio.gather(*map(self._start, range(self._count))):
                    if status:
                        return status
                log.info("admin listens on %s:%d", self._settings.host, admin.sockets[0].getsockname()[1])
                return await self._ended
            finally:
                admin.close()
                await self._stop()

    def _listen(self) -> None:
        """Make the sockets of all workers; a port that is chosen for the first one is that of the others."""
        for index in range(self._count):
            self._listen_for(index)
        for name, port in self._ports.items():
            log.info("%s of %s listens on %s:%d", name, self._settings.virtual_node, self._settings.host, port)

    def _listen_for(self, index: int) -> None:
        made = {name: _bound(self._settings.host, port) for name, port in self._ports.items()}
        self._ports = {name: each.getsockname()[1] for name, each in made.items()}
        self._sockets[index] = made

    def _listen_no_more_for(self, index: int) -> None:
        """Nobody accepts there: from here on the kernel gives its connections to the others."""
        for each in self._sockets.pop(index).values():
            each.close()

    async def _start(self, index: int) -> int:
        """Start a worker, and let it take the place of the one there is; return its exit status if it did not become ready."""
        self._made += 1
        if index not in self._sockets:
            self._listen_for(index)
        path = self._folder / f"{self._made}.sock"
        with socket.socket(socket.AF_UNIX) as admin:
            admin.bind(str(path))
            admin.listen()
            given = {"admin": admin} | self._sockets[index]
            settings = replace(
                self._settings,
                instance_id=f"{self._settings.instance_id}/{index}",
                sockets=tuple((name, each.fileno()) for name, each in given.items()),
            )
            files = [each.fileno() for each in given.values()]
            process = await asyncio.create_subprocess_exec(*self._command(settings), pass_fds=files)
        worker = Worker(index, process, path, self._clock.monotonic())
        self._watch(worker)
        if not await self._becomes_ready(worker):
            worker.leaving = True
            if process.returncode is None:
                process.kill()
            if index not in self._workers:
                self._listen_no_more_for(index)
            return await process.wait() or 1
        before = self._workers.get(index)
        self._workers[index] = worker
        if before is not None:
            before.leaving = True
            before.process.send_signal(signal.SIGUSR1)
        return 0

    async def _becomes_ready(self, worker: Worker) -> bool:
        until = self._clock.monotonic() + READY_S
        while worker.process.returncode is None and self._clock.monotonic() < until:
            answer = await ask(worker.admin, b"GET /ready")
            if answer is not None and answer.status == 200:
                return True
            await self._clock.sleep(LOOK_S)
        return False

    def _watch(self, worker: Worker) -> None:
        task = asyncio.create_task(self._until_ended(worker))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _until_ended(self, worker: Worker) -> None:
        """Start another one when a worker ends that nobody asked to; each failure soon after a start makes the next one wait."""
        status = await worker.process.wait()
        worker.admin.unlink(missing_ok=True)
        if worker.leaving or self._workers.get(worker.index) is not worker or self._ended.done():
            return
        del self._workers[worker.index]
        self._listen_no_more_for(worker.index)
        lasted = self._clock.monotonic() - worker.started
        failures = self._failures[worker.index] = 1 if lasted > STEADY_S else self._failures[worker.index] + 1
        log.error("worker %d ended with status %d after %.0f s; starting another", worker.index, status, lasted)
        while not self._ended.done():
            await self._clock.sleep(backoff_s(failures, 1.0, base_s=RESTART_BASE_S, cap_s=RESTART_CAP_S))
            if await self._start(worker.index) == 0:
                return
            failures = self._failures[worker.index] = failures + 1

    def _renew(self) -> None:
        if self._renewing:
            return
        self._renewing = True
        task = asyncio.create_task(self._replace_all())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _replace_all(self) -> None:
        """Replace one worker after the other; when a new one does not become ready, the old ones stay."""
        for index in range(self._count):
            if await self._start(index):
                log.error("a new worker did not become ready; the old ones stay")
                break
        self._renewing = False

    def _signal_all(self, number: signal.Signals) -> None:
        for worker in self._workers.values():
            if worker.process.returncode is None:
                worker.process.send_signal(number)

    def _end(self, status: int) -> None:
        if not self._ended.done():
            self._ended.set_result(status)

    async def _stop(self) -> None:
        """Let all workers drain; what has not ended in time is killed."""
        self._end(0)
        self._signal_all(signal.SIGTERM)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._settings.drain_seconds + SLACK_S)
            for worker in self._workers.values() if late else ():
                if worker.process.returncode is None:
                    worker.process.kill()
            for task in late:
                task.cancel()
        for index in list(self._sockets):
            self._listen_no_more_for(index)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a request for an admin page on to all workers, or to the one that ``?worker=`` names."""
        try:
            async with asyncio.timeout(READY_S):
                line = (await reader.readline()).removesuffix(b"\r\n")
                writer.write((await self._asked(line)).encoded())
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # whoever asked is gone, or never asked
        finally:
            writer.close()

    async def _asked(self, line: bytes) -> Answer:
        asked, _, worker = line.partition(b" HTTP/")[0].partition(b"?worker=")
        workers: Mapping[int, Worker] = self._workers
        if worker:
            workers = {index: each for index, each in workers.items() if str(index).encode() == worker}
        answers = await asyncio.gather(*(ask(each.admin, asked) for each in workers.values()))
        return together(dict(zip(workers, answers, strict=True)))


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that shares its port; the worker listens with it, for until then nobody would accept there."""
    family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(address)
    return made


async def run_workers(settings: ProxySettings, count: int, command: Callable[[ProxySettings], Sequence[str]]) -> int:
    """Run ``count`` workers (see ``Workers.run``)."""
    return await Workers(settings, count, command).run()
