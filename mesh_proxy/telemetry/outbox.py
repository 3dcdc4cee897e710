"""Encoded telemetry on its way out: bounded in bytes, every item accounted for."""

from collections import Counter
from collections.abc import Callable

FULL_BATCH = 1000
"""So many items are worth a delivery before its time."""
LARGEST_BATCH = 2000


class Outbox:
    """Holds items until they are delivered; what is out for delivery is still held. What does not fit is dropped and counted.

    created = exported + dropped + held, always.
    """

    __slots__ = ("_items", "_limit", "_on_full_batch", "_out_bytes", "_out_items", "_size", "created", "dropped", "exported")

    def __init__(self, limit_bytes: int, on_full_batch: Callable[[], None] = lambda: None) -> None:
        self._limit, self._on_full_batch = limit_bytes, on_full_batch
        self._items: list[bytes] = []
        self._size = self._out_bytes = self._out_items = 0
        self.created = self.exported = 0
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._items) + self._out_items

    def __repr__(self) -> str:
        return f"<Outbox {len(self)} held, {self.exported} exported, {self.dropped.total()} dropped>"

    def put(self, item: bytes) -> None:
        """Take an item, or drop it when the outbox is full."""
        self.created += 1
        size = self._size + len(item)
        if size + self._out_bytes > self._limit:
            self.dropped["buffer_full"] += 1
            return
        self._size = size
        self._items.append(item)
        if len(self._items) % FULL_BATCH == 0:
            self._on_full_batch()

    def take(self) -> list[bytes]:
        """Hand out the oldest items, at most ``LARGEST_BATCH`` of them; ``delivered`` or ``give_up`` must follow."""
        batch, self._items = self._items[:LARGEST_BATCH], self._items[LARGEST_BATCH:]
        self._out_items, self._out_bytes = len(batch), sum(map(len, batch))
        self._size -= self._out_bytes
        return batch

    def delivered(self) -> None:
        """The batch handed out has arrived."""
        self.exported += self._out_items
        self._out_items = self._out_bytes = 0

    def give_up(self, reason: str) -> None:
        """The batch handed out will never arrive."""
        if self._out_items:
            self.dropped[reason] += self._out_items
        self._out_items = self._out_bytes = 0
