"""Starts the thinning of traces, if the settings ask for it."""

import asyncio
from contextlib import AsyncExitStack

from cli.lifecycle import cancel
from cli.settings import Settings, ThinningRule
from collector.thinning import TraceThinner
from core.clock import Clock
from storage.telemetry.engine import Engine
from storage.telemetry.thinning import Policy, Rule


def thin_traces(stack: AsyncExitStack, settings: Settings, engine: Engine, clock: Clock) -> None:
    """Thin traces until ``stack`` unwinds; several processes that do so at once only cost more."""
    if not settings.thin_traces_after_hours:
        return
    thinner = TraceThinner(engine, clock, policy_of(settings))
    stack.push_async_callback(cancel, asyncio.create_task(thinner.run(), name="thin traces"))


def policy_of(settings: Settings) -> Policy:
    """Return what the settings say of thinning."""
    rules = tuple(_rule(each) for each in settings.thin_traces_except)
    return Policy(settings.thin_traces_after_hours * 3600, settings.thin_traces_share, settings.thin_traces_slower_than, rules)


def _rule(told: ThinningRule) -> Rule:
    key, _, value = told.attribute.partition("=")
    return Rule(told.service, told.route, round(told.min_duration_ms * 1e6), key, value)
