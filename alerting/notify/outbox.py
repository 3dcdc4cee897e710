"""Empties the outbox of one webhook: each pending delivery is tried until it is accepted, refused or too old."""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass

from alerting.notify.webhook_httpx import Attempt, Verdict, WebhookSender
from alerting.waiting import unless
from core.clock import Clock
from storage.state.alert_store import AlertStore, Delivery

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait between attempts, in seconds: doubling from ``first`` to ``most``; the delivery ends after ``give_up``."""

    first: float = 1.0
    most: float = 300.0
    give_up: float = 24 * 3600.0

    def delay(self, attempts: int, retry_after: float | None = None) -> float:
        """Return the wait after the given number of attempts (from 1 on); the webhook may ask for longer, up to an hour."""
        own = min(self.most, self.first * 2.0 ** min(attempts - 1, 30))
        return max(own, min(retry_after or 0.0, 3600.0))


class Outbox:
    """The way of pending deliveries to one webhook, oldest first within each rule; at least once, never twice once accepted.

    Counts ``deliveries.delivered``, ``deliveries.retried`` and ``deliveries.failed`` in ``counts``.
    """

    def __init__(
        self,
        webhook: str,
        *,
        store: AlertStore,
        sender: WebhookSender,
        clock: Clock,
        backoff: Backoff,
        stopping: asyncio.Event,
        counts: Counter[str],
    ) -> None:
        """An attempt under way is broken off when ``stopping`` is set; it is made again after the next start."""
        self.webhook = webhook
        self._store = store
        self._sender = sender
        self._clock = clock
        self._backoff = backoff
        self._stopping = stopping
        self._counts = counts
        self._unnoted: dict[str, Attempt] = {}  # attempts whose outcome the store did not take yet: not made again

    def __repr__(self) -> str:
        return f"Outbox({self.webhook!r}, unnoted={sorted(self._unnoted)})"

    async def deliver_due(self) -> int:
        """Make one attempt for each delivery that is due and return how many; raises StateUnavailable."""
        due = await self._store.due(self.webhook, self._clock.now())
        for made, delivery in enumerate(due):
            attempt = self._unnoted.get(delivery.id)
            attempt = attempt or await unless(self._stopping, self._sender.send(delivery, self._clock.now()))
            if attempt is None:
                return made
            self._unnoted[delivery.id] = attempt
            await self._note(delivery, attempt, self._clock.now())
            del self._unnoted[delivery.id]
        return len(due)

    async def wait_time(self, at_most: float) -> float:
        """Return the seconds until the next delivery is due, at most ``at_most``; raises StateUnavailable."""
        when = await self._store.next_due(self.webhook)
        return at_most if when is None else min(at_most, max(0.0, when - self._clock.now()))

    async def _note(self, delivery: Delivery, attempt: Attempt, now: float) -> None:
        error = attempt.error or ""
        if attempt.verdict is Verdict.ACCEPTED:
            await self._store.delivered(delivery.id, now)
            self._counts["deliveries.delivered"] += 1
            return
        delay = self._backoff.delay(delivery.attempts + 1, attempt.retry_after)
        if attempt.verdict is Verdict.RETRY and now + delay < delivery.created_at + self._backoff.give_up:
            await self._store.retry(delivery.id, now, next_attempt_at=now + delay, error=error)
            self._counts["deliveries.retried"] += 1
            _log.warning("Webhook %s did not take %s: %s; trying again in %.0f s.", self.webhook, delivery.id, error, delay)
            return
        await self._store.failed(delivery.id, now, error=error)
        self._counts["deliveries.failed"] += 1
        _log.error("Webhook %s will not get %s about %s: %s.", self.webhook, delivery.id, delivery.rule, error)
