"""Faults: errors that are for people, with a code for machines."""

from typing import ClassVar


class Fault(Exception):
    """Something went wrong that its reader can do something about.

    The message says what was wrong, where, what was expected and what to do.
    ``code`` is a metric label and an API error code: one of a small, fixed set.
    ``retryable`` says whether the very same thing may succeed later.
    """

    code: ClassVar[str] = "fault"
    retryable: ClassVar[bool] = False
