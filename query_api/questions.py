"""Asks the store: a few questions at a time, each bounded in time and memory."""

import asyncio
from typing import Any

from query_api.faults import TooManyQuestions, TooMuchAsked
from query_api.rollups import Kept, kept
from storage.telemetry.engine import Engine, StoreUnavailable
from storage.telemetry.questions import question

# ClickHouse's codes for a question that ran out of time or memory.
_TOO_MUCH = ("Code: 159.", "Code: 241.", "Code: 307.", "Code: 396.")
Row = dict[str, Any]


class Questions:
    """Answers questions by name from one engine.

    ``waiting`` bounds how many may wait or run at once: one more raises TooManyQuestions. A question that needs more than
    ``seconds`` or ``memory`` bytes raises TooMuchAsked. Raises StoreUnavailable as the engine does.
    """

    def __init__(self, engine: Engine, *, waiting: int = 64, seconds: int = 15, memory: int = 1_500_000_000) -> None:
        self._engine = engine
        self._waiting = waiting
        self._asked = 0
        # Indexes are looked at before reading: while reading, each block waits for its part of the index.
        self._bounds = (
            f"\nSETTINGS max_execution_time = {seconds}, max_memory_usage = {memory}, use_skip_indexes_on_data_read = 0"
        )

    def __repr__(self) -> str:
        return f"<Questions asked={self._asked}/{self._waiting} of {self._engine!r}>"

    async def ask(self, name: str, *when: str, **parameters: Any) -> list[Row]:
        """Return the rows that answer ``questions/<name>.sql``, with the conditions ``when`` (see ``question``)."""
        if self._asked >= self._waiting:
            raise TooManyQuestions("The store is busy with other questions; ask again in a moment.")
        self._asked += 1
        try:
            return await asyncio.to_thread(self._engine.query, question(name, *when) + self._bounds, parameters)
        except StoreUnavailable as fault:
            if any(code in str(fault) for code in _TOO_MUCH):
                raise TooMuchAsked("Answering takes too much time or memory; choose a shorter window or more filters.") from fault
            raise
        finally:
            self._asked -= 1

    async def one(self, name: str, **parameters: Any) -> Row:
        """Return the only row of an answer that always has one."""
        (row,) = await self.ask(name, **parameters)
        return row

    async def kept(self) -> Kept:
        """Return since when there is data, and in which rollups."""
        return kept(**await self.one("coverage"))
