"""Measures what rules are about, by asking the telemetry store."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from alerting.rules import ANY, Rule
from storage.telemetry.questions import question


class Answers(Protocol):
    """The part of a telemetry engine that alerting needs: synchronous, safe to call from several threads."""

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer a question, a dict for each row."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured of one subject, such as {"service": "payments"}."""

    subject: Mapping[str, str]
    value: float


@dataclass(slots=True)
class Round:
    """The measurements at one moment; rules on the same subject and window share a question."""

    engine: Answers
    now: float
    _answers: dict[tuple[str, ...], list[dict[str, Any]]] = field(default_factory=dict)

    async def samples(self, rule: Rule) -> list[Sample]:
        """Return a sample for each subject of the rule that had calls in the window; raises what the engine raises.

        A named subject without calls has rate 0; its other metrics are then not known, so that there is no sample.
        """
        subject = rule.subject
        rows = await self._ask("alert_edge_metric" if rule.edge else "alert_service_metric", subject, rule.window)
        samples = [Sample({name: row[name] for name in subject}, float(row[rule.metric])) for row in rows]
        if not rows and rule.metric == "rate" and ANY not in subject.values():
            return [Sample(subject, 0.0)]
        return [sample for sample in samples if math.isfinite(sample.value)]

    async def _ask(self, name: str, subject: Mapping[str, str], window: float) -> list[dict[str, Any]]:
        key = (name, *subject.values(), str(window))
        if key not in self._answers:
            parameters = {**subject, "start": int(self.now - window), "end": int(self.now)}
            self._answers[key] = await asyncio.to_thread(self.engine.query, question(name), parameters)
        return self._answers[key]
