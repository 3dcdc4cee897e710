"""The demo's customers: they ask the gateway, at a steady rate, from outside the mesh."""

import asyncio
import random
from collections import Counter

import httpx

from core.clock import Clock

PATHS = (("GET", "/accounts/{number}", 6), ("POST", "/payments", 4))
AT_ONCE = 64


class Traffic:
    """Sends requests to the gateway until stopped; late answers do not slow it down, up to a bound."""

    def __init__(self, gateway_port: int, rate: float, clock: Clock) -> None:
        self._url, self._rate, self._clock = f"http://127.0.0.1:{gateway_port}", rate, clock
        self._rng = random.Random(1)
        self.answers: Counter[int] = Counter()

    async def run(self) -> None:
        """Send until cancelled, then wait for the answers under way."""
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        async with httpx.AsyncClient(base_url=self._url, timeout=10, limits=limits) as client, asyncio.TaskGroup() as asking:
            turns = asyncio.Semaphore(AT_ONCE)
            due = self._clock.monotonic()
            try:
                while True:
                    await turns.acquire()
                    asking.create_task(self._ask(client, turns))
                    due = max(due + 1 / self._rate, self._clock.monotonic() - 1)
                    await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            except asyncio.CancelledError:
                return

    async def _ask(self, client: httpx.AsyncClient, turns: asyncio.Semaphore) -> None:
        method, path, _ = self._rng.choices(PATHS, [weight for *_, weight in PATHS])[0]
        try:
            answer = await client.request(method, path.format(number=self._rng.randrange(1000)), headers={"host": "gateway"})
            self.answers[answer.status_code] += 1
        except httpx.HTTPError:
            self.answers[0] += 1
        finally:
            turns.release()
