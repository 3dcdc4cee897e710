"""Runs the rules at each interval, with a sender for each webhook beside it."""

import asyncio
import logging
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

import httpx

from alerting.annotations import Annotator
from alerting.evaluator import Outcome, evaluate, resumed, retire
from alerting.measure import Answers, Round
from alerting.notify.outbox import Backoff, Outbox
from alerting.notify.payload import encoded, notification
from alerting.notify.plan import Notice, Plan, plan
from alerting.notify.webhook_httpx import WebhookSender
from alerting.rules import Rule, RuleBook
from alerting.waiting import unless
from core.clock import Clock
from core.faults import Fault
from storage.state.alert_store import AlertRecord, AlertState, AlertStore, NewDelivery

_log = logging.getLogger(__name__)
T = TypeVar("T")
_LOOK_AGAIN = 5.0  # seconds: how long a sender sleeps at most when nothing wakes it

Known = Mapping[str, Mapping[str, AlertRecord]]  # rule -> fingerprint -> alert


class Alerting:
    """Evaluates rules, remembers alerts and tells webhooks.

    Lives through failing questions, a failing state database and failing webhooks: each is logged, counted in ``counts`` and
    tried again. A rule that could not be measured keeps its alerts as they are. What was noted survives a restart; each
    notification is delivered at least once, with the same ``webhook-id`` at every attempt. Run one at a time on one database.
    """

    def __init__(
        self,
        engine: Answers,
        store: AlertStore,
        rules: RuleBook,
        client: httpx.AsyncClient,
        clock: Clock,
        *,
        interval: float = 5.0,
        external_url: str = "http://127.0.0.1:8080",
        backoff: Backoff | None = None,
    ) -> None:
        """``interval`` in seconds; ``external_url`` leads to the dashboard. Engine, store and client stay the caller's."""
        self.counts: Counter[str] = Counter()
        self._engine, self._store, self._rules, self._clock = engine, store, rules, clock
        self._interval, self._external_url = interval, external_url
        self._annotator = Annotator()
        self._webhooks = tuple(webhook.name for webhook in rules.webhooks)
        self._stopping = asyncio.Event()
        self._sender = WebhookSender(client, rules.webhooks)
        self._outboxes = [
            Outbox(
                webhook.name,
                store=store,
                sender=self._sender,
                clock=clock,
                backoff=backoff or Backoff(),
                stopping=self._stopping,
                counts=self.counts,
            )
            for webhook in rules.webhooks
        ]
        self._known: Known | None = None
        self._failing: dict[str, str] = {}
        self._wake = {name: asyncio.Event() for name in self._webhooks}
        self._ended = asyncio.Event()
        self._ended.set()

    def __repr__(self) -> str:
        states = Counter(alert.state.value for alerts in (self._known or {}).values() for alert in alerts.values())
        running = "stopped" if self._ended.is_set() else "running"
        return (
            f"<Alerting {running} rules={len(self._rules.rules)} webhooks={len(self._webhooks)}"
            f" alerts={dict(sorted(states.items()))} failing={sorted(self._failing)} counts={dict(sorted(self.counts.items()))}>"
        )

    async def run(self) -> None:
        """Work until ``stop`` is called."""
        self._ended.clear()
        try:
            with self._sender.hidden_urls():
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._evaluate_forever())
                    for outbox in self._outboxes:
                        group.create_task(self._deliver_forever(outbox))
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """End ``run`` and wait until it has ended; an attempt under way is broken off and made again after the next start."""
        self._stopping.set()
        await self._ended.wait()

    async def evaluate(self) -> None:
        """Run every rule once, note what changed and queue its notifications.

        Raises StateUnavailable; nothing has changed then.
        """
        now = self._clock.now()
        before = await self._load(now)
        measurements = Round(self._engine, now)
        after: dict[str, Mapping[str, AlertRecord]] = {}
        plans: list[Plan] = []
        forget: list[tuple[str, str]] = []
        pending = await self._store.pending()
        for rule in sorted({*before, *(rule.name for rule in self._rules.rules)}):
            outcomes = await self._outcomes(rule, before.get(rule, {}), measurements)
            if outcomes is None:
                after[rule] = before.get(rule, {})
                continue
            its_plan = plan(
                rule,
                outcomes,
                told=self._rules.receivers(rule),
                webhooks=self._webhooks,
                pending=pending,
                repeat_interval=self._rules.repeat_interval,
                now=now,
            )
            plans.append(its_plan)
            after[rule] = its_plan.alerts
            forget += [(rule, outcome.alert.fingerprint) for outcome in outcomes if outcome.forgotten]
        await self._note(plans, forget, now)
        self._known = after
        self.counts["evaluations"] += 1

    async def deliver(self) -> int:
        """Make one attempt for each delivery that is due, for every webhook, and return how many; raises StateUnavailable."""
        with self._sender.hidden_urls():
            return sum([await outbox.deliver_due() for outbox in self._outboxes])

    async def _load(self, now: float) -> Known:
        if self._known is None:
            abandoned = await self._store.abandon(
                now, webhooks=self._webhooks, error="this webhook is no longer in the rule file"
            )
            self.counts["deliveries.failed"] += abandoned
            known: defaultdict[str, dict[str, AlertRecord]] = defaultdict(dict)
            for alert in resumed(await self._store.alerts(), now):
                known[alert.rule][alert.fingerprint] = alert
            self._known = dict(known)
        return self._known

    async def _outcomes(self, name: str, known: Mapping[str, AlertRecord], measurements: Round) -> Sequence[Outcome] | None:
        """The outcomes of one rule; None when it could not be measured."""
        rule = next((one for one in self._rules.rules if one.name == name), None)
        if rule is None:
            return retire(known.values(), measurements.now)
        try:
            samples = await measurements.samples(rule)
        except Exception as error:  # whatever the engine raises, the other rules go on
            self._failed(_label(rule), "rule_failures", error)
            return None
        self._works(_label(rule))
        return evaluate(rule, samples, known.values(), annotator=self._annotator, now=measurements.now)

    async def _note(self, plans: Iterable[Plan], forget: Iterable[tuple[str, str]], now: float) -> None:
        plans = list(plans)
        notices = list(chain.from_iterable(one.notices for one in plans))
        dropped = await self._store.record(
            chain.from_iterable(one.alerts.values() for one in plans),
            forget=forget,
            deliveries=[self._delivery(notice, now) for notice in notices],
        )
        self.counts["notifications.queued"] += len(notices)
        self.counts["notifications.dropped.outbox_full"] += dropped
        for notice in notices:
            firing = sum(alert.state is AlertState.FIRING for alert in notice.alerts)
            _log.info("Telling %s: %s, %d firing, %d resolved.", notice.webhook, notice.rule, firing, len(notice.alerts) - firing)
            self._wake[notice.webhook].set()

    def _delivery(self, notice: Notice, now: float) -> NewDelivery:
        body = notification(notice.rule, notice.webhook, notice.alerts, external_url=self._external_url)
        fingerprints = tuple(alert.fingerprint for alert in notice.alerts)
        return NewDelivery(f"msg_{uuid.uuid4().hex}", notice.rule, fingerprints, notice.webhook, encoded(body), now)

    async def _evaluate_forever(self) -> None:
        due = self._clock.monotonic()
        while not self._stopping.is_set():
            await self._try("evaluation", "evaluation_failures", self.evaluate)
            due += self._interval
            late = self._clock.monotonic() - due
            if late > 0:  # rounds that were missed are left out, not made up for
                self.counts["evaluations.late"] += 1
                due += late
            await unless(self._stopping, self._clock.sleep(max(0.0, -late)))

    async def _deliver_forever(self, outbox: Outbox) -> None:
        wake, what = self._wake[outbox.webhook], f"outbox {outbox.webhook}"

        async def work() -> float:
            await outbox.deliver_due()
            return await outbox.wait_time(_LOOK_AGAIN)

        while not self._stopping.is_set():
            wake.clear()
            wait = await self._try(what, "outbox_failures", work)
            pause = self._clock.sleep(_LOOK_AGAIN if wait is None else wait)
            await unless(self._stopping, unless(wake, pause))

    async def _try(self, what: str, count: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """Return what ``work`` returns; None when it failed, which is counted and logged."""
        try:
            result = await work()
        except Exception as error:  # nothing that fails here may end the service
            self._failed(what, count, error)
            return None
        self._works(what)
        return result

    def _failed(self, what: str, count: str, error: Exception) -> None:
        """Count a failure and log it, unless it is the one that was logged last."""
        reason = error.code if isinstance(error, Fault) else "unexpected"
        self.counts[f"{count}.{reason}"] += 1
        if self._failing.get(what) != (text := str(error)):
            self._failing[what] = text
            _log.warning("Alerting: %s fails: %s", what, text, exc_info=None if isinstance(error, Fault) else error)

    def _works(self, what: str) -> None:
        if self._failing.pop(what, None) is not None:
            _log.info("Alerting: %s works again.", what)


def _label(rule: Rule) -> str:
    return f"rule {rule.name}"
