"""How long a command runs: until it is told to stop, or until a part of it fails."""

import asyncio
import contextlib
import signal
from typing import Any


def on_signal() -> asyncio.Event:
    """Return what the first signal sets; the next one finds the system's own handler, for what was answered is stored."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def stop() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stopping.set()

    for number in numbers:
        loop.add_signal_handler(number, stop)
    return stopping


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def until(stopping: asyncio.Event, *tasks: asyncio.Task[Any]) -> None:
    """Return when told to stop; raise what a task failed with."""
    waiting = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in done - {waiting}:
        task.result()
