"""Keeping the endpoints of targets that are not written down in the mesh file."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from random import Random
from typing import TYPE_CHECKING

from core.backoff import backoff_s
from core.clock import Clock
from mesh_model.endpoints import CloudMap, Dns, FileEndpoints
from mesh_model.table import Target
from mesh_proxy.discovery.endpoints_file import WatchedFile
from mesh_proxy.discovery.places import EndpointSource, NotFound
from mesh_proxy.targets.outlier import Place
from mesh_proxy.targets.target import LiveTarget

if TYPE_CHECKING:
    from mesh_proxy.discovery.names_dns import DnsNames

AGAIN_S, LONGEST_AGAIN_S = 0.5, 15.0
JITTER = 0.1
log = logging.getLogger(__name__)


class Discovery:
    """Follows the endpoints of targets, one task for each; ``follow`` other targets at any time, ``close`` in the end.

    A source that has no answer leaves its target the endpoints it had; it is asked again after a growing while.
    """

    def __init__(self, clock: Clock, random: Random, dns_server: str | None = None) -> None:
        self._clock, self._random = clock, random
        self._servers = [dns_server] if dns_server else []
        self._names: DnsNames | None = None
        self._tasks: dict[LiveTarget, asyncio.Task[None]] = {}
        self.lookups = self.failures = 0

    def follow(self, targets: Iterable[LiveTarget]) -> None:
        """Keep the endpoints of these targets, and of no others."""
        wanted = set(targets)
        for target in [target for target in self._tasks if target not in wanted]:
            self._tasks.pop(target).cancel()
        for target in wanted - self._tasks.keys():
            self._help_to_locate(target)
            if (source := self._source(target.spec)) is not None:
                self._tasks[target] = asyncio.create_task(self._keep(target, source))

    async def close(self) -> None:
        """Ask no more."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._names is not None:
            await self._names.close()

    async def _keep(self, target: LiveTarget, source: EndpointSource) -> None:
        told, missed = "", 0
        while True:
            self.lookups += 1
            try:
                found = await source.find()
            except NotFound as problem:
                missed += 1
                self.failures += 1
                if str(problem) != told:
                    told = str(problem)
                    log.warning("the endpoints of %s stay as they are: %s", target.name, told)
                wait = backoff_s(missed, 0.5 + self._random.random() / 2, base_s=AGAIN_S, cap_s=LONGEST_AGAIN_S)
            else:
                told, missed = "", 0
                adopt(target, found.places, self._clock.monotonic())
                wait = found.for_s * (1 + JITTER * self._random.random())  # so that proxies do not ask in step
            await self._clock.sleep(wait)

    def _source(self, spec: Target) -> EndpointSource | None:
        """Return the source of a target's endpoints; None when they are fixed. What weighs much is loaded by who needs it."""
        known = spec.discovery
        if isinstance(known, Dns) and known.is_followed:
            return self._dns().endpoints(known.hostname, spec.port, known.ip_preference)
        if isinstance(known, FileEndpoints):
            return WatchedFile(known.path)
        if isinstance(known, CloudMap):
            from mesh_proxy.discovery.cloud_map import CloudMapEndpoints  # noqa: PLC0415 - botocore: 20 MB

            return CloudMapEndpoints(known, spec.port)
        return None

    def _dns(self) -> "DnsNames":
        from mesh_proxy.discovery.names_dns import DnsNames  # noqa: PLC0415 - c-ares: 3 MB

        self._names = self._names or DnsNames(self._servers)
        return self._names

    def _help_to_locate(self, target: LiveTarget) -> None:
        """A name that is not followed is resolved for every connection: as the mesh prefers, by the name server it was told."""
        known = target.spec.discovery
        if isinstance(known, Dns) and not known.is_followed and (known.ip_preference or self._servers):
            target.locate_by(self._dns().locator(known.ip_preference, self._random.random))


def adopt(target: LiveTarget, places: Sequence[Place], now: float) -> None:
    """Give the target the places that were found, if they are not those it has."""
    if {place.address: place for place in places} != {place.address: place for place in target.places}:
        log.info("%s is at %s", target.name, ", ".join(place.address for place in places) or "no address")
        target.replace(places, now)
