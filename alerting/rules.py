"""The rule file: what is watched, when it is an alert, and who is told."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from alerting.annotations import Annotator, Reading
from core.faults import Fault

ANY = "*"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_OWN_LABELS = frozenset({"alertname", "severity", "service", "source", "destination"})
_WEEK = 7 * 86400.0


class RuleFileInvalid(Fault):
    """The rule file cannot be used; the message lists every problem with its place."""

    code: ClassVar[str] = "rule_file_invalid"


def _seconds(value: object) -> float:
    if not isinstance(value, str) or not re.fullmatch(f"(?:{_DURATION.pattern})+", value):
        raise ValueError('expected a duration such as "30s", "5m" or "1h30m"')
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(value))


def _web_address(value: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(value.get_secret_value())
        httpx.URL(value.get_secret_value())  # who sends to it must be able to read it as well
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (ValueError, httpx.InvalidURL):
        usable = False
    if not usable:
        raise ValueError("expected an http:// or https:// URL with a host")
    return value


def _no_own_labels(value: dict[str, str]) -> dict[str, str]:
    taken = sorted(_OWN_LABELS & value.keys())
    if taken:
        raise ValueError(f"expected other names than {', '.join(taken)}, which Meshscope sets itself")
    return value


Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]
LabelName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
Duration = Annotated[float, BeforeValidator(_seconds)]
Metric = Literal["error_rate", "rate", "p50_ms", "p95_ms", "p99_ms"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class Webhook(_Part):
    """Somebody who is told; the URL and the secret are never shown nor logged.

    ``secret`` signs each delivery (Standard Webhooks): "whsec_" and base64, or any text.
    """

    name: Name
    url: Annotated[SecretStr, AfterValidator(_web_address)]
    secret: SecretStr | None = None


class Edge(_Part):
    """Calls from one service to another; "*" stands for every service."""

    source: Name
    destination: Name


class Rule(_Part):
    """A condition on one service, one edge, or on each of many ("*"); durations in seconds.

    It holds when ``metric`` over the last ``window`` is above (below) ``threshold``; it fires after holding for ``hold``
    (in the file: ``for``).
    ``error_rate`` is a share from 0 to 1, ``rate`` is calls a second, the others are milliseconds.
    """

    name: Name
    metric: Metric
    service: Name | None = None
    edge: Edge | None = None
    op: Literal[">", "<"] = ">"
    threshold: Annotated[float, Field(ge=0)]
    window: Annotated[Duration, Field(ge=10, le=_WEEK)] = 60.0
    hold: Annotated[Duration, Field(alias="for", le=_WEEK)] = 0.0
    severity: Name = "warning"
    labels: Annotated[dict[LabelName, str], AfterValidator(_no_own_labels)] = Field(default_factory=dict)
    annotations: dict[LabelName, str] = Field(default_factory=dict)
    notify: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.service is None) == (self.edge is None):
            raise ValueError('expected either service = "..." or edge = { source = "...", destination = "..." }')
        if self.metric == "error_rate" and self.threshold > 1:
            raise ValueError("threshold: expected a share from 0 to 1 for error_rate, such as 0.05 for 5 %")
        if self.edge is not None and self.window < 60:
            raise ValueError('window: expected at least "1m", because edges are kept by the minute')
        reading = Reading(self.name, self.labels_for(self.subject), self.metric, self.threshold, self.threshold, self.window)
        annotator = Annotator()
        for name, template in self.annotations.items():
            if problem := annotator.problem(template, reading):
                raise ValueError(f"annotations.{name}: expected a template that can be rendered; {problem}")
        return self

    @property
    def subject(self) -> dict[str, str]:
        """The names that are asked for, by label; "*" stands for every service."""
        if self.edge is not None:
            return {"source": self.edge.source, "destination": self.edge.destination}
        return {"service": self.service or ANY}

    def labels_for(self, subject: Mapping[str, str]) -> dict[str, str]:
        """Return the labels of this rule's alert on ``subject``."""
        return {**self.labels, "alertname": self.name, "severity": self.severity, **subject}

    def holds(self, value: float | None) -> bool:
        """Say whether ``value`` meets the condition; no value never does."""
        if value is None:
            return False
        return value > self.threshold if self.op == ">" else value < self.threshold


class RuleBook(_Part):
    """All rules and webhooks; a rule that does not say whom to ``notify`` tells every webhook."""

    webhooks: tuple[Webhook, ...] = ()
    rules: tuple[Rule, ...] = ()
    repeat_interval: Annotated[Duration, Field(ge=60)] = 4 * 3600.0

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        hooks = [webhook.name for webhook in self.webhooks]
        for kind, names in (("rule", [rule.name for rule in self.rules]), ("webhook", hooks)):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"name: expected each {kind} to have its own name, but {', '.join(twice)} is there twice")
        for rule in self.rules:
            unknown = sorted(set(rule.notify or ()) - set(hooks))
            if unknown:
                raise ValueError(f'rule "{rule.name}": notify: expected names of webhooks, but there is no {", ".join(unknown)}')
        return self

    def receivers(self, rule: str) -> tuple[str, ...]:
        """Return the names of the webhooks that are told of ``rule``; none when there is no such rule."""
        found = next((one for one in self.rules if one.name == rule), None)
        if found is None:
            return ()
        return tuple(webhook.name for webhook in self.webhooks) if found.notify is None else found.notify


def load_rules(path: Path) -> RuleBook:
    """Read and check the rule file (TOML).

    Raises RuleFileInvalid, whose message names for each problem the file, the rule, the field and what was expected.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise RuleFileInvalid(f"{path}: expected a readable TOML file: {reason}") from None
    return parse_rules(text, name=str(path))


def parse_rules(text: str, *, name: str = "rules") -> RuleBook:
    """Return the rules in ``text`` (TOML); raises RuleFileInvalid like load_rules."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RuleFileInvalid(f"{name}: expected TOML: {error}") from None
    try:
        return RuleBook.model_validate(content)
    except ValidationError as error:
        raise RuleFileInvalid("\n".join(f"{name}: {problem}" for problem in _problems(error, content))) from None


def _problems(error: ValidationError, content: Mapping[str, Any]) -> Iterator[str]:
    for one in error.errors(include_input=False, include_url=False, include_context=False):
        message = {"missing": "expected a value, but it is missing", "extra_forbidden": "there is no such field"}.get(
            one["type"], one["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
        )
        yield f"{_place(one['loc'], content)}{message}"


def _place(loc: Sequence[int | str], content: Mapping[str, Any]) -> str:
    parts = [str(part) for part in loc if part != "[key]"]
    if len(loc) >= 2 and loc[0] in ("rules", "webhooks") and isinstance(loc[1], int):
        entry = content[loc[0]][loc[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        kind = str(loc[0]).removesuffix("s")
        title = f'{kind} "{name}"' if isinstance(name, str) else f"{kind} number {loc[1] + 1}"
        return f"{title}: " + (".".join(parts[2:]) + ": " if parts[2:] else "")
    return ".".join(parts) + ": " if parts else ""
