"""What keeps bounds looks at what is new, and only while something is."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from collector.counts import Counts
from collector.lookout import EVERY_S, Lookout
from storage.telemetry.bounds import Bounds, Fresh, enforce
from storage.telemetry.engine import Engine, StoreUnavailable
from tests.fakes.filled_store import HOUR, spans
from tests.fakes.manual_clock import ManualClock
from tests.fakes.spans import SERVER, Span


class Watched:
    """A real store that says which statements it was told, and refuses them when asked to."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.asked, self.refuses = engine, 0, False

    @property
    def nodes(self) -> Sequence["Watched"]:
        return (self,)

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.asked += 1
        if self.refuses:
            raise StoreUnavailable("refused")
        return self._engine.query(sql, parameters)

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        self._engine.command(sql, parameters)


async def test_a_look_follows_each_block_and_a_store_that_refused_is_asked_again(engine: Engine) -> None:
    store, clock, counts, looks = Watched(engine), ManualClock(), Counts(), list[Fresh]()

    def look(node: Engine, found: Fresh) -> None:
        enforce(node, found, Bounds(operations=5))
        looks.append(found)

    lookout = Lookout(store, clock, counts, look, why="test")  # type: ignore[arg-type]

    async def time_passes_until(done: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not done():
                clock.move(EVERY_S)
                await asyncio.sleep(0.01)

    running = asyncio.create_task(lookout.run())
    await time_passes_until(lambda: len(looks) == 1)
    spans(engine, *(Span("shop", SERVER, name=f"GET /{n}", at=HOUR) for n in range(5)))
    store.refuses, asked = True, store.asked
    counts.committed_blocks["traces"] += 1
    await time_passes_until(lambda: store.asked > asked)
    store.refuses = False
    await time_passes_until(lambda: len(looks) == 2)
    spans(engine, Span("shop", SERVER, name="GET /0", at=HOUR), Span("shop", SERVER, name="GET /late", at=HOUR))
    counts.committed_blocks["traces"] += 1
    await time_passes_until(lambda: len(looks) == 3)
    asked = store.asked
    for _ in range(3):  # nothing came
        clock.move(EVERY_S)
        await asyncio.sleep(0.01)
    assert (store.asked, len(looks)) == (asked, 3)
    running.cancel()
    rows = engine.query("SELECT route, sum(g.calls) AS calls FROM golden_signals_10s AS g GROUP BY route ORDER BY route", {})
    assert {row["route"]: row["calls"] for row in rows} == {"GET /0": 2, **{f"GET /{n}": 1 for n in range(1, 5)}, "__other__": 1}
    assert looks[2].now >= looks[1].now
