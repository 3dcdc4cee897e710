"""Asking endpoints whether they are well: when, and what follows from the answers. Time and chance come in."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from mesh_model.resources import HealthCheck
from mesh_proxy.targets.health_wire import is_well
from mesh_proxy.tls.ends import ClientEnd

JITTER = 0.1
"""Each wait is longer or shorter by up to this share, so that the proxies of a mesh do not ask in step."""
MOST_AT_ONCE = 64
"""Checks of one target under way; further ones wait for their turn."""


@dataclass(slots=True)
class Record:
    """What is known of one endpoint; ``against`` counts answers in a row that speak against ``healthy``."""

    due: float
    healthy: bool = True
    against: int = 0
    checking: bool = False


@dataclass(slots=True)
class Schedule:
    """Who is asked when, and who counts as healthy: every endpoint until so many checks in a row failed, as App Mesh says."""

    spec: HealthCheck
    chance: Callable[[], float]
    records: dict[str, Record] = field(default_factory=dict)

    def follow(self, addresses: Collection[str], now: float) -> None:
        """Ask these endpoints and no others; new ones soon, not all at the same moment."""
        known = self.records
        spread = self.spec.interval_s * JITTER
        self.records = {each: known.get(each) or Record(now + self.chance() * spread) for each in addresses}

    def take(self, now: float, most: int) -> list[str]:
        """Return who is to be asked now, at most so many; they are taken to be under way until ``result``."""
        due = [address for address, each in self.records.items() if not each.checking and each.due <= now][: max(0, most)]
        for address in due:
            self.records[address].checking = True
        return due

    def result(self, address: str, *, well: bool, now: float) -> bool | None:
        """Take an answer; return whether the endpoint is healthy, None if nobody wants to know any more."""
        record = self.records.get(address)
        if record is None:
            return None
        record.checking = False
        record.due = now + self.spec.interval_s * (1 + JITTER * (2 * self.chance() - 1))
        record.against = record.against + 1 if well != record.healthy else 0
        if record.against >= (self.spec.healthy_threshold if well else self.spec.unhealthy_threshold):
            record.healthy, record.against = well, 0
        return record.healthy


class HealthChecker:
    """Asks the endpoints of one target; ``on_result`` hears after each answer whether an endpoint is healthy and was well."""

    def __init__(
        self, spec: HealthCheck, chance: Callable[[], float], tls: ClientEnd | None, on_result: Callable[[str, bool, bool], None]
    ) -> None:
        self.schedule = Schedule(spec, chance)
        self._tls, self._on_result = tls, on_result
        self._tasks: set[asyncio.Task[None]] = set()
        self._now = 0.0
        self.checks = self.failures = 0

    def __repr__(self) -> str:
        return f"<HealthChecker {self.schedule.spec.protocol} {self.checks} checks, {self.failures} failed>"

    def tick(self, now: float) -> None:
        """Ask those whose turn it is."""
        self._now = now
        for address in self.schedule.take(now, MOST_AT_ONCE - len(self._tasks)):
            task = asyncio.get_running_loop().create_task(self._check(address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()

    async def _check(self, address: str) -> None:
        well = await is_well(address, self.schedule.spec, self._tls)
        self.checks += 1
        self.failures += not well
        healthy = self.schedule.result(address, well=well, now=self._now)
        if healthy is not None:
            self._on_result(address, healthy, well)
