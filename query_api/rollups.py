"""Which rollup answers a question: the coarser the longer the window, and a coarser one for what finer ones keep no more."""

from collections.abc import Sequence
from dataclasses import dataclass

from query_api.times import Window

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of golden signals with rows for each ``grain_s``; it suits windows of ``suits_s`` and more."""

    table: str
    grain_s: int
    suits_s: int


TEN_SECONDS = Rollup("golden_signals_10s", 10, 0)
MINUTES = Rollup("golden_signals_1m", 60, 2 * HOUR_S)
HOURS = Rollup("golden_signals_1h", HOUR_S, 24 * HOUR_S)


@dataclass(frozen=True, slots=True)
class Kept:
    """Since when there is data (None: there is none), and from when on each finer rollup has all that the hours have."""

    first_ns: int | None
    ten_seconds_s: int
    minutes_s: int

    def holding(self, asked: Window) -> Sequence[Rollup]:
        """Return the rollups that have all of a window, the finest first; hours are kept longest."""
        since = ((TEN_SECONDS, self.ten_seconds_s), (MINUTES, self.minutes_s))
        return [*(rollup for rollup, from_s in since if asked.grid(rollup.grain_s)[0] >= from_s), HOURS]


def kept(hours_s: int | None, minutes_s: int | None, ten_seconds_s: int | None, span_ns: int | None) -> Kept:
    """Return what is kept when these are the first rows of each rollup, and the first span; None when there is none.

    A finer rollup that begins in the same hour as the hours do has lost nothing. The first data is told as exactly as what is
    still kept of it allows.
    """
    if hours_s is None:
        return Kept(None, 0, 0)
    first, grain = hours_s, HOURS.grain_s
    since: dict[Rollup, int] = {}
    for rollup, first_s in ((MINUTES, minutes_s), (TEN_SECONDS, ten_seconds_s)):
        whole = first_s is not None and first_s < hours_s + HOUR_S
        # None at all: what is to come begins after everything that is asked for.
        since[rollup] = 0 if whole else 2**62 if first_s is None else first_s
        if whole and first_s is not None:
            first, grain = max(first_s, hours_s), rollup.grain_s
    first_ns = first * 1_000_000_000
    if span_ns is not None and first_ns <= span_ns < first_ns + grain * 1_000_000_000:
        first_ns = span_ns
    return Kept(first_ns, since[TEN_SECONDS], since[MINUTES])


def suited(asked: Window, holding: Sequence[Rollup], *, finest: Rollup = TEN_SECONDS) -> Rollup:
    """Return the coarsest of ``holding`` that is still fine enough for the window's length, and no finer than ``finest``."""
    choice = [rollup for rollup in holding if rollup.grain_s >= finest.grain_s]
    long_ns = asked.end_ns - asked.start_ns
    return max(
        (rollup for rollup in choice if long_ns >= rollup.suits_s * 1_000_000_000), key=lambda one: one.grain_s, default=choice[0]
    )


def dividing(step_s: int, holding: Sequence[Rollup], *, coarsest: Rollup) -> Rollup:
    """Return the coarsest of ``holding`` that is made of whole steps' parts, and no coarser than ``coarsest``.

    ``step_s`` must be a multiple of the first one's grain.
    """
    fits = [rollup for rollup in holding if rollup.grain_s <= coarsest.grain_s and step_s % rollup.grain_s == 0]
    return fits[-1]
