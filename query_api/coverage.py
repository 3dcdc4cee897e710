"""The part of a window for which there is data: rates are per second of it."""

from dataclasses import dataclass

from query_api.times import Window

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Coverage:
    """The whole grains that overlap a window, and the part of them for which there can be data; seconds since the epoch.

    ``shown`` is the window that the numbers are of: the one asked for, widened to whole grains, but not beyond now.
    """

    from_s: int
    to_s: int
    since: float
    until: float
    shown: Window

    @property
    def seconds(self) -> float:
        """How long the covered part is; one second at least."""
        return max(1.0, self.until - self.since)


def cover(asked: Window, *, grain: int, first_ns: int | None, now: float) -> Coverage:
    """Return what of a window is covered when data began at ``first_ns`` (None: never) and it is ``now``.

    Counts are kept in grains of ``grain`` seconds, so that the window is widened to whole ones.
    """
    from_s, to_s = asked.grid(grain)
    first = 0.0 if first_ns is None else first_ns / 1e9
    end_ns = to_s * SECOND_NS if to_s <= now else max(asked.end_ns, int(now * 1e6) * 1_000)
    shown = Window(from_s * SECOND_NS, end_ns)
    return Coverage(from_s, to_s, since=max(float(from_s), first), until=min(float(to_s), now), shown=shown)
