"""The grammar of ``meshscope/...`` tags: words, then ``name=value`` pairs, between spaces; only characters AWS allows in tags."""

from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class TagProblem(ValueError):
    """A tag's value says nothing that is understood; ``expected`` says what would be."""

    def __init__(self, problem: str, expected: str) -> None:
        super().__init__(f"{problem}, expected {expected}")
        self.problem, self.expected = problem, expected


class Words:
    """A tag's value, taken apart. Take what is known, then ``done``: what is left over is a problem."""

    def __init__(self, text: str, expected: str) -> None:
        words = text.split()
        self._expected = expected
        self._plain = [word for word in words if "=" not in word]
        pairs = [word.partition("=") for word in words if "=" in word]
        self._named = {name: value for name, _, value in pairs}
        if len(self._named) < len(pairs):
            raise TagProblem(f"`{text}` names something twice", expected)

    def word(self, read: Callable[[str], Value]) -> Value:
        """Return the next plain word as ``read`` understands it. Raises TagProblem."""
        if not self._plain:
            raise TagProblem("a word is missing", self._expected)
        return self._read(self._plain.pop(0), read)

    def named(self, name: str, read: Callable[[str], Value], default: Value) -> Value:
        """Return the value of ``name=...`` as ``read`` understands it. Raises TagProblem."""
        return self._read(self._named.pop(name), read) if name in self._named else default

    def done(self) -> None:
        """Raise TagProblem if something was not taken."""
        left = [*self._plain, *(f"{name}={value}" for name, value in self._named.items())]
        if left:
            raise TagProblem(f"`{' '.join(left)}` is not understood", self._expected)

    def _read(self, text: str, read: Callable[[str], Value]) -> Value:
        try:
            return read(text)
        except (ValueError, KeyError):
            raise TagProblem(f"got `{text}`", self._expected) from None


def duration_s(text: str) -> float:
    """Return the seconds of ``250ms``, ``30s``, ``5m`` or ``1h``. Raises ValueError."""
    digits = text.rstrip("hms")
    seconds = float(digits) * _SECONDS[text[len(digits) :]]
    return _finite(seconds)


def rate(text: str) -> float:
    """Return how many a second ``100/s``, ``600/m`` or ``1000/h`` are. Raises ValueError."""
    count, _, unit = text.partition("/")
    per_second = _finite(float(count)) / {"s": 1, "m": 60, "h": 3600}[unit]
    if per_second <= 0:
        raise ValueError(text)
    return per_second


def percent(text: str) -> float:
    """Return a number from 0 to 100. Raises ValueError."""
    number = float(text)
    if not 0 <= number <= 100:
        raise ValueError(text)
    return number


def positive(text: str) -> float:
    """Return a number above 0. Raises ValueError."""
    number = _finite(float(text))
    if number == 0:
        raise ValueError(text)
    return number


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers within these bounds."""

    def read(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise ValueError(text)
        return number

    return read


def one_of(*words: str) -> Callable[[str], str]:
    """Return a reader of exactly these words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return read


def header_name(text: str) -> str:
    """Return a header's name in lower case. Raises ValueError."""
    if not text or not all(letter.isascii() and (letter.isalnum() or letter in "-_.") for letter in text):
        raise ValueError(text)
    return text.lower()


def _finite(number: float) -> float:
    if not 0 <= number < 1e9:
        raise ValueError(number)
    return number
