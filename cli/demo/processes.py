"""Starts the demo's processes and sees that none outlives it."""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from core.clock import Clock
from core.faults import Fault

STOP_S = 15.0


class DemoFailed(Fault):
    """A part of the demo did not start, or ended by itself."""

    code = "demo_failed"


class Processes:
    """Child processes, each with a log of its own; stopped last started first."""

    def __init__(self, logs: Path, clock: Clock) -> None:
        self._logs, self._clock = logs, clock
        self._running: list[tuple[str, asyncio.subprocess.Process]] = []

    def __repr__(self) -> str:
        return f"<Processes {[(name, process.pid, process.returncode) for name, process in self._running]}>"

    async def start(self, name: str, *arguments: str) -> None:
        """Start ``meshscope`` with these arguments."""
        with (self._logs / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "cli", *arguments, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL
            )
        self._running.append((name, process))

    def check(self) -> None:
        """Raise DemoFailed when a process has ended."""
        for name, process in self._running:
            if process.returncode is not None:
                tail = (self._logs / f"{name}.log").read_text("utf-8", "replace").strip().splitlines()[-5:]
                raise DemoFailed("\n".join([f"{name} ended with status {process.returncode}:", *tail]))

    async def until(self, what: str, answers: Callable[[], Awaitable[bool]], within_s: float) -> None:
        """Return when ``answers`` does; raise DemoFailed when a process ended or the time is over."""
        deadline = self._clock.monotonic() + within_s
        while True:
            self.check()
            with contextlib.suppress(httpx.HTTPError):
                if await answers():
                    return
            if self._clock.monotonic() > deadline:
                raise DemoFailed(f"{what} did not happen within {within_s:.0f} s; logs are in {self._logs}")
            await self._clock.sleep(0.1)

    async def stop(self) -> None:
        """Stop every process: politely, then for sure."""
        for _, process in reversed(self._running):
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
        for _, process in self._running:
            try:
                await asyncio.wait_for(process.wait(), STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()
        self._running.clear()
