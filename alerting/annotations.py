"""Annotations: short texts of a rule, filled in with what was measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

_LONGEST = 4_000  # characters of one rendered text


@dataclass(frozen=True, slots=True)
class Reading:
    """What a template may name: ``rule``, ``labels``, ``metric``, ``value``, ``threshold``, ``window`` (seconds)."""

    rule: str
    labels: Mapping[str, str]
    metric: str
    value: float
    threshold: float
    window: float


class Annotator:
    """Renders annotation templates: Jinja, in its sandbox, with the filter ``percent`` (0.051 -> "5.1%") added."""

    def __init__(self) -> None:
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        environment.filters["percent"] = _percent
        self._template = lru_cache(maxsize=1000)(environment.from_string)  # compiling takes a millisecond

    def problem(self, template: str, reading: Reading) -> str | None:
        """Return what is wrong with ``template``, None when it renders ``reading``."""
        try:
            self._render(template, reading)
        except Exception as error:  # a template may do anything, such as divide by zero
            return _text(error)
        return None

    def render(self, templates: Mapping[str, str], reading: Reading) -> dict[str, str]:
        """Return the texts; one that cannot be rendered says so in its place, so that an alert never fails for its text."""
        texts = {}
        for name, template in templates.items():
            try:
                texts[name] = self._render(template, reading)
            except Exception as error:
                texts[name] = f"(this annotation cannot be rendered: {_text(error)})"
        return texts

    def _render(self, template: str, reading: Reading) -> str:
        names = {name: getattr(reading, name) for name in Reading.__slots__}
        return self._template(template).render(names)[:_LONGEST]


def _text(error: Exception) -> str:
    if isinstance(error, TemplateError) and error.message:
        return error.message
    return f"{type(error).__name__}: {error}"


def _percent(value: float) -> str:
    return f"{value * 100:.3g}%"
