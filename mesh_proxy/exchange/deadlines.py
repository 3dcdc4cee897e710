"""Many deadlines, few timers: requests with the same time limit expire in the order they came."""

from math import inf
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Deadlines(Generic[Item]):
    """When each item's time is over. Adding and discarding cost one dictionary operation each; a limit of 0 means never."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[float, dict[Item, float]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, item: Item, limit_s: float, now: float) -> None:
        """Give ``item`` ``limit_s`` seconds from ``now``."""
        if not limit_s:
            return
        queue = self._queues.get(limit_s)
        if queue is None:
            queue = self._queues[limit_s] = {}
        queue[item] = now + limit_s

    def discard(self, item: Item, limit_s: float) -> None:
        """Forget the item's deadline, if it has one."""
        queue = self._queues.get(limit_s)
        if queue is not None:
            queue.pop(item, None)

    def pop_expired(self, now: float) -> list[Item]:
        """Return the items whose time is over, and forget them."""
        expired: list[Item] = []
        for queue in self._queues.values():
            for item, deadline in queue.items():
                if deadline > now:
                    break
                expired.append(item)
            for item in expired:
                queue.pop(item, None)
        return expired

    def next(self) -> float:
        """Return the earliest deadline; infinity when there is none."""
        return min((next(iter(queue.values())) for queue in self._queues.values() if queue), default=inf)
