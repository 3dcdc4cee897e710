"""How healthy something is, and the cues that say so without colour alone."""

from enum import StrEnum

WARN_AT = 0.01
BAD_AT = 0.05


class Health(StrEnum):
    """A verdict on an error rate; the value names css classes and graph classes."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    IDLE = "idle"


WORDS = {Health.OK: "Healthy", Health.WARN: "Degraded", Health.BAD: "Failing", Health.IDLE: "No traffic"}
ORDER = {Health.BAD: 0, Health.WARN: 1, Health.OK: 2, Health.IDLE: 3}


def of(rate: float, error_rate: float) -> Health:
    """Return the verdict: from 1 % errors degraded, from 5 % failing."""
    if rate <= 0:
        return Health.IDLE
    if error_rate >= BAD_AT:
        return Health.BAD
    return Health.WARN if error_rate >= WARN_AT else Health.OK
