"""The bus without Kafka: groups requests, commits each group as one block, then answers."""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from collector.admission import Busy, Limits, Malformed
from collector.counts import Counts
from collector.insist import insist
from collector.journal import Block, Journal
from core.clock import Clock
from core.faults import Fault
from storage.telemetry.engine import BadBlock, Engine, Signal, StoreUnavailable

log = logging.getLogger(__name__)

GROUP_S = 0.15
"""How long the first request of a group waits for company: planning an insert costs more than a thousand spans do."""

BLOCK_BYTES = 16 * 1024 * 1024
"""A group is no larger than this, unless one request is; with half as much, a span cost about a fifth more CPU under load."""

BLOCK_COPIES = 64 * 1024 * 1024
"""Nor do the requests of a group make more copies of what their rows share: so much memory does the insert take for them."""

ANSWER_S = 8.0
"""How long a sender waits for its answer; exporters give up after ten seconds, and an answer says when to come again."""

REMEMBERED = 10_000


@dataclass(slots=True)
class _Waiting:
    request: bytes
    digest: bytes
    stored: asyncio.Future[None]
    copied: int


class LocalBus:
    """Commits groups of one signal's requests to the store, one block at a time, each exactly once.

    A block is in the journal before it goes to the store and is never re-cut: after a crash, or while the store refuses,
    the same block is sent again with the same token.
    """

    def __init__(
        self,
        signal: Signal,
        engine: Engine,
        directory: Path,
        clock: Clock,
        limits: Limits,
        counts: Counts,
        *,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._answer_s = answer_s
        self._signal, self._engine, self._clock, self._limits, self._counts = signal, engine, clock, limits, counts
        self._journal = Journal(directory, signal)
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._recent: OrderedDict[bytes, asyncio.Future[None] | None] = OrderedDict()
        self._arrived = asyncio.Event()
        self._closing = False
        self._committer: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<LocalBus {self._signal} waiting={len(self._waiting)} bytes={self._bytes} remembered={len(self._recent)}>"

    async def start(self) -> None:
        """Send the block in doubt again, if a crash left one, then take requests."""
        if block := self._journal.read():
            refused = await self._commit(block)
            self._recent.update(dict.fromkeys([*block.earlier, *(each for each in block.digests if each not in refused)]))
        self._committer = asyncio.create_task(self._run(), name=f"commit {self._signal}")

    async def publish(self, request: bytes, copied: int = 0) -> None:
        """Take one request; on return it is committed (see Bus.publish)."""
        # CPUs have instructions for this one: half of what BLAKE2b costs.
        digest = sha256(request).digest()
        if digest in self._recent:
            self._counts.repeated_requests[self._signal] += 1
            if (earlier := self._recent[digest]) is not None:
                await self._stored(earlier)
            return
        if self._closing or self._bytes + len(request) > self._limits.in_flight_bytes:
            raise Busy(f"{self._bytes} bytes of {self._signal} wait for the store; send the same again in a few seconds")
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._recent[digest] = stored
        self._waiting.append(_Waiting(request, digest, stored, copied))
        self._bytes += len(request)
        self._arrived.set()
        await self._stored(stored)

    async def close(self) -> None:
        """Commit what waits, then stop; when the store is away, its senders are told to send it again."""
        self._closing = True
        self._arrived.set()
        if self._committer:
            await self._committer

    async def _stored(self, stored: asyncio.Future[None]) -> None:
        """Wait for a request's block; a sender that has waited long enough may send it again, and is then told of this one."""
        try:
            await asyncio.wait_for(asyncio.shield(stored), self._answer_s)
        except TimeoutError:
            raise StoreUnavailable(f"not stored within {self._answer_s:g} s; send the very same again") from None

    async def _run(self) -> None:
        try:
            await self._commit_groups()
        except Exception as error:
            expected = isinstance(error, Fault | OSError)
            log.error("no more %s are stored; what waits was not answered: %s", self._signal, error, exc_info=not expected)
        finally:
            self._closing = True
            for stored in self._recent.values():
                if stored and not stored.done():
                    _refuse(stored, StoreUnavailable("stopped before this was stored; send the same again"))

    async def _commit_groups(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            if not self._closing:
                await self._clock.sleep(GROUP_S)
            while group := self._take():
                await self._store(group)
            if self._closing and not self._waiting:
                return

    def _take(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = copied = 0
        while self._waiting:
            waiting = self._waiting[0]
            size, copied = size + len(waiting.request), copied + waiting.copied
            if group and (size > BLOCK_BYTES or copied > BLOCK_COPIES):
                break
            group.append(self._waiting.popleft())
        return group

    async def _store(self, group: list[_Waiting]) -> None:
        answered = [digest for digest, stored in self._recent.items() if stored is None]
        digests, requests = [each.digest for each in group], [each.request for each in group]
        block = Block(self._signal, uuid4().hex, digests, requests, answered)
        await self._insist(partial(self._journal.write, block))
        refused = await self._commit(block)
        for each in group:
            self._bytes -= len(each.request)
            if each.digest in refused:
                self._recent.pop(each.digest, None)
                _refuse(each.stored, Malformed(f"the store cannot read this request: {refused[each.digest]}"))
            else:
                self._recent[each.digest] = None
                each.stored.set_result(None)
        while len(self._recent) > REMEMBERED and next(iter(self._recent.values())) is None:
            self._recent.popitem(last=False)

    async def _commit(self, block: Block) -> dict[bytes, str]:
        """Commit the block and return what was refused of it, by digest; gives up on a store that is away only when closing."""
        try:
            await self._insist(partial(self._engine.insert, self._signal, block.requests, block.token))
        except BadBlock as bad:
            if len(block.requests) == 1:
                return {block.digests[0]: str(bad)}
            # One bad request must not cost the good ones: it is searched by halves, whose tokens a replay finds again.
            return {digest: why for half in block.halves() for digest, why in (await self._commit(half)).items()}
        self._counts.committed_blocks[self._signal] += 1
        return {}

    async def _insist(self, step: Callable[[], None]) -> None:
        """Do one step, on the disk or in the store, until it is done or we close; every sender waits for it."""
        await insist(step, self._clock, what=f"a block of {self._signal}", give_up=lambda: self._closing)


def _refuse(stored: asyncio.Future[None], fault: Fault) -> None:
    stored.set_exception(fault)
    stored.exception()  # the one who sent it may be gone


class LocalBuses:
    """The bus of an embedded Meshscope: one LocalBus for each signal, so that none waits for another."""

    def __init__(self, engine: Engine, directory: Path, clock: Clock, limits: Limits, counts: Counts) -> None:
        signals: tuple[Signal, ...] = ("traces", "logs", "metrics")
        self._buses = {signal: LocalBus(signal, engine, directory, clock, limits, counts) for signal in signals}

    def __repr__(self) -> str:
        return f"<LocalBuses {list(self._buses.values())}>"

    async def start(self) -> None:
        """Settle what a crash left in doubt, then take requests."""
        for bus in self._buses.values():
            await bus.start()

    async def publish(self, signal: Signal, request: bytes, copied: int = 0) -> None:
        """Take one request; on return it is committed (see Bus.publish)."""
        await self._buses[signal].publish(request, copied)

    async def close(self) -> None:
        """Commit what waits, then stop."""
        for bus in self._buses.values():
            await bus.close()
