"""The proxy's telemetry: spans and mesh events, gathered without waiting, delivered beside the traffic."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Protocol

from core.backoff import backoff_s
from core.clock import Clock
from mesh_proxy.telemetry import otlp
from mesh_proxy.telemetry.events import MeshEvent
from mesh_proxy.telemetry.otlp_client import Answer
from mesh_proxy.telemetry.outbox import LARGEST_BATCH, Outbox

INTERVAL_S = 0.5
SPAN_BYTES, EVENT_BYTES = 4 * 1024 * 1024, 256 * 1024
RETRY_BASE_S, RETRY_CAP_S = 0.1, 5.0
RETRYABLE = frozenset({429, 502, 503, 504})
SCOPE = "meshscope.proxy"

log = logging.getLogger(__name__)


class Poster(Protocol):
    """Delivers one OTLP body; raises OSError when there was no answer."""

    async def post(self, path: str, body: bytes) -> Answer:
        """Return the collector's answer."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


class Telemetry:
    """Takes encoded spans and events at any time and delivers them every half second, or sooner when there are many.

    Without a poster nothing is taken. The traffic never waits: what does not fit into the outboxes is dropped and counted.
    Of the traces that begin here ``share`` (0 to 1) are recorded.
    """

    def __init__(
        self, poster: Poster | None, resource: dict[str, str], clock: Clock, chance: Callable[[], float], *, share: float = 1.0
    ) -> None:
        self._poster, self._clock, self._chance, self.share = poster, clock, chance, share
        self.describe(resource)
        self._scope = otlp.message(1, otlp.message(1, SCOPE.encode()))
        self._many = asyncio.Event()
        self.spans, self.events = Outbox(SPAN_BYTES, self._many.set), Outbox(EVENT_BYTES)
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._epoch_ns = 0
        self._anchor()

    def describe(self, resource: dict[str, str]) -> None:
        """From here on, say that the telemetry is of this resource."""
        self._resource = otlp.message(1, b"".join(otlp.attribute(1, key, value) for key, value in resource.items()))

    @property
    def on(self) -> bool:
        """Whether spans are wanted."""
        return self._poster is not None

    def ns(self, moment: float) -> int:
        """Return a moment of the monotonic clock as nanoseconds since the epoch."""
        return int(moment * 1e9) + self._epoch_ns

    def tell(self, event: MeshEvent) -> None:
        """Take a mesh event that happens now."""
        change = event.change
        log.info("%s %s %s %s (%s)", change.name, change.action, event.target, change.address, change.reason)
        if self.on:
            self.events.put(event.encoded(self.ns(self._clock.monotonic())))

    def start(self) -> None:
        """Begin to deliver."""
        if self.on:
            self._task = asyncio.create_task(self._deliver_forever())

    async def stop(self, within_s: float) -> None:
        """Deliver what is there, for ``within_s`` seconds at most; count the rest as dropped."""
        if self._poster is None:
            return
        self._stopping = True
        self._many.set()
        task, self._task = self._task, None
        if task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(task, within_s)
        for outbox in (self.spans, self.events):
            outbox.give_up("shutdown")
            while outbox.take():
                outbox.give_up("shutdown")
        self._poster.close()

    async def _deliver_forever(self) -> None:
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S):
                    await self._many.wait()
            self._many.clear()
            self._anchor()
            try:
                await self._deliver(self.events, "/v1/logs")
                await self._deliver(self.spans, "/v1/traces")
            except Exception:
                log.exception("a batch of telemetry met a fault of the proxy")
                self.events.give_up("fault")
                self.spans.give_up("fault")

    async def _deliver(self, outbox: Outbox, path: str) -> None:
        """Deliver what the outbox holds now; what comes meanwhile waits for the next time."""
        for _ in range(0, len(outbox), LARGEST_BATCH):
            body = otlp.export_request(self._resource, self._scope, outbox.take())
            retry = 0
            while (wait := await self._post(outbox, path, body, retry)) is not None:
                retry += 1
                await self._clock.sleep(wait)

    async def _post(self, outbox: Outbox, path: str, body: bytes, retry: int) -> float | None:
        """Try once; return the seconds to wait before the next try, None when the batch is settled."""
        assert self._poster is not None
        wait = backoff_s(retry + 1, 0.5 + self._chance() / 2, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S)
        try:
            answer = await self._poster.post(path, body)
        except OSError as error:
            log.log(logging.WARNING if retry == 0 else logging.DEBUG, "telemetry is not delivered: %s", error)
            return wait
        if 200 <= answer.status < 300:
            outbox.delivered()
            return None
        if answer.status in RETRYABLE:
            return max(wait, answer.retry_after_s)
        log.warning("the collector refused a batch for good: %s on %s", answer.status, path)
        outbox.give_up("refused")
        return None

    def _anchor(self) -> None:
        self._epoch_ns = int((self._clock.now() - self._clock.monotonic()) * 1e9)
