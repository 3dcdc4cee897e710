"""A clock that runs faster than the machine's, for what takes seconds at least."""

import asyncio
import time


class HurriedClock:
    """``times`` as fast as the machine's clock."""

    def __init__(self, times: float = 25.0) -> None:
        self._times, self._begun = times, time.monotonic()

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return self._begun + (time.monotonic() - self._begun) * self._times

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._times)
