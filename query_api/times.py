"""Times as people write them: RFC 3339 or ``now-15m``; durations such as ``10s``."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from query_api.faults import InvalidParameter, InvalidTime

MAX_DAYS = 31
DAY_NS = 86_400_000_000_000
_LATEST_NS = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
_UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000, "d": DAY_NS}
_RELATIVE = re.compile(r"now(?:-([0-9]{1,9})([smhd]))?")
_RFC3339 = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ns|us|ms|s|m|h|d)")
# A step that must be widened beyond so many seconds is widened to whole so many: minutes and hours are summed up already.
_ROUND_STEPS_S = ((600, 3600), (60, 60))
_TIME_HELP = "expected RFC 3339 such as 2026-01-31T10:00:00Z (in a URL, + is written %2B), now, or now-15m (units s, m, h, d)"


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time: from ``start_ns`` up to, not including, ``end_ns``; nanoseconds since the Unix epoch."""

    start_ns: int
    end_ns: int

    @property
    def start(self) -> datetime:
        """The start, to the microsecond."""
        return moment(self.start_ns)

    @property
    def end(self) -> datetime:
        """The end, to the microsecond."""
        return moment(self.end_ns)

    def grid(self, step_s: int) -> tuple[int, int]:
        """Return the seconds at which the steps that overlap the window start and end."""
        step_ns = step_s * 1_000_000_000
        return self.start_ns // step_ns * step_s, -(-self.end_ns // step_ns) * step_s


def moment(ns: int) -> datetime:
    """Return a moment, to the microsecond; ``ns`` since the Unix epoch."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1_000)


def window(start: str, end: str, now: float) -> Window:
    """Return the window that two texts name; ``now`` in seconds since the Unix epoch. Raises InvalidTime."""
    found = Window(time_ns(start, "start", now), time_ns(end, "end", now))
    if found.start_ns >= found.end_ns:
        raise InvalidTime(f"start ({found.start.isoformat()}) must be before end ({found.end.isoformat()}).")
    if found.end_ns - found.start_ns > MAX_DAYS * DAY_NS:
        raise InvalidTime(f"A window covers {MAX_DAYS} days at most; choose a later start or an earlier end.")
    return found


def time_ns(text: str, name: str, now: float) -> int:
    """Return the nanoseconds since the Unix epoch that a text names; ``name`` is for the error. Raises InvalidTime."""
    if found := _RELATIVE.fullmatch(text):
        ago = int(found[1]) * _UNITS_NS[found[2]] if found[1] else 0
        ns = int(now * 1e6) * 1_000 - ago
    elif found := _RFC3339.fullmatch(text):
        ns = _rfc3339_ns(found, name)
    else:
        raise InvalidTime(f"{name} {text[:64]!r} is not a time: {_TIME_HELP}.")
    if not 0 <= ns < _LATEST_NS:
        raise InvalidTime(f"{name} {text[:64]!r} is out of range: times lie between 1970 and 2100.")
    return ns


def _rfc3339_ns(found: re.Match[str], name: str) -> int:
    date, clock, fraction, zone = found.groups()
    try:
        whole = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}").timestamp()
    except (ValueError, OverflowError):
        raise InvalidTime(f"{name} {found[0]!r} is no moment of the calendar: {_TIME_HELP}.") from None
    return int(whole) * 1_000_000_000 + int((fraction or ".0")[1:].ljust(9, "0"))


def duration_ns(text: str, name: str) -> int:
    """Return the nanoseconds of a duration such as ``250ms``; ``name`` is for the error. Raises InvalidParameter."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise InvalidParameter(
            f"{name} {text[:64]!r} is not a duration: expected a number and ns, us, ms, s, m, h or d, such as 250ms."
        )
    ns = round(float(found[1]) * _UNITS_NS[found[2]])
    if ns > 366 * DAY_NS:
        raise InvalidParameter(f"{name} {text[:64]!r} is too long: a year at most.")
    return ns


def step_s(text: str, asked: Window, *, grain: int, most: int) -> int:
    """Return the seconds of a step such as ``10s``: a multiple of ``grain``, widened until a window has ``most`` at most.

    A step that is widened for that becomes whole minutes, above ten minutes whole hours.
    """
    wanted = duration_ns(text, "step") // 1_000_000_000
    if wanted < 1:
        raise InvalidParameter(f"step {text[:64]!r} is too short: the finest is {grain}s.")
    span_s = -(-(asked.end_ns - asked.start_ns) // 1_000_000_000)
    # A window that is not aligned to its steps touches one more.
    least = -(-span_s // (most - 1))
    coarse = max(min(wanted, span_s), least, grain)
    if coarse == least:
        grain = max(grain, next((whole for beyond, whole in _ROUND_STEPS_S if least > beyond), grain))
    return -(-coarse // grain) * grain
