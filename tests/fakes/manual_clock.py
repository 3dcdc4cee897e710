"""A clock that stands still until a test moves it."""

import asyncio


class ManualClock:
    """Time as the test says; ``sleep`` returns when it has been moved far enough."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._moved = asyncio.Event()

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        until = self._now + seconds
        await asyncio.sleep(0)
        while self._now < until:
            await self._moved.wait()

    def move(self, seconds: float) -> None:
        self._now += seconds
        self._moved.set()
        self._moved = asyncio.Event()
