"""Numbers and times as people read them."""

from datetime import datetime

NONE = "–"  # noqa: RUF001 - the typographic dash for "no value"
NARROW = "\u202f"  # a narrow space that does not break
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def digits(value: float) -> str:
    """Return ``value`` with three significant digits and no exponent; whole numbers from 100 on, and 0, have no point."""
    size = abs(value)
    if size >= 99.95 or value == 0:
        return f"{value:,.0f}".replace(",", NARROW)
    return f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"


def whole(value: float) -> str:
    """Return a number of things."""
    return f"{value:,.0f}".replace(",", NARROW)


def scaled(value: float) -> str:
    """Return ``value`` short, with k, M or G."""
    for factor, prefix in PREFIXES:
        if abs(value) >= factor:
            return f"{digits(round(value / factor, 2))}{NARROW}{prefix}"
    return digits(value)


def rate(per_second: float | None) -> str:
    """Return a rate such as ``12.3/s``."""
    if per_second is None:
        return NONE
    if 0 < per_second < 0.01:
        return "<0.01/s"
    return f"{scaled(per_second)}/s"


def percent(ratio: float | None) -> str:
    """Return a ratio between 0 and 1 as a percentage, never rounding something to nothing."""
    if ratio is None:
        return NONE
    value = ratio * 100
    if value == 0:
        return f"0{NARROW}%"
    if value < 0.01:
        return f"<0.01{NARROW}%"
    if 99.9 < value < 100:
        return f">99.9{NARROW}%"
    if value < 0.095:
        return f"{value:.1g}{NARROW}%"
    return f"{value:.2g}{NARROW}%" if value < 9.95 else f"{value:.0f}{NARROW}%"


def duration(ms: float | None) -> str:
    """Return milliseconds in the unit that suits them: µs, ms, s or min."""
    if ms is None:
        return NONE
    if ms == 0:
        return f"0{NARROW}ms"
    if ms < 0.9995:
        return f"{digits(round(ms * 1000, 1))}{NARROW}µs"
    if ms < 999.5:
        return f"{digits(ms)}{NARROW}ms"
    if ms < 59_950:
        return f"{digits(round(ms / 1000, 2))}{NARROW}s"
    return span_of(ms / 1000)


def span_of(seconds: float) -> str:
    """Return a stretch of time in its two largest units, such as ``3 min 20 s``."""
    full = max(0, round(seconds))
    if full < MINUTE:
        return f"{full}{NARROW}s"
    if full < HOUR:
        return _two(full, 60, "min", 1, "s")
    if full < DAY:
        return _two(full, 3600, "h", 60, "min")
    return _two(full, 86400, "d", 3600, "h")


def _two(full: int, large: int, large_name: str, small: int, small_name: str) -> str:
    first, rest = divmod(full, large)
    second = rest // small
    return f"{first}{NARROW}{large_name}" + (f" {second}{NARROW}{small_name}" if second else "")


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago ``moment`` was, seen from ``now``."""
    if moment is None:
        return NONE
    seconds = (now - moment).total_seconds()
    if seconds < 1:
        return "just now"
    return f"{span_of(seconds).split(' ')[0]} ago"


def clock(moment: datetime | None) -> str:
    """Return the time of day in UTC, to the second."""
    return NONE if moment is None else f"{moment:%H:%M:%S}"


def plain(value: float | None) -> str:
    """Return a number whose unit nobody told, with up to four significant digits."""
    if value is None:
        return NONE
    return scaled(value) if abs(value) >= 1000 else f"{value:.4g}"


def count(number: float, one: str, many: str = "") -> str:
    """Return a number with its noun, such as ``3 services``."""
    return f"{whole(number)} {one if number == 1 else many or one + 's'}"
