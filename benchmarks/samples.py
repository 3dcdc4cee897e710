"""What a part of the benchmark hands over: raw samples by name, and what could not be had, with the reason."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.mesh_spans import SPANS_PER_REQUEST

ROUNDS = 5
"""Measured ones; each is preceded by one more, to warm up."""


@dataclass(slots=True)
class Samples:
    """Figures by name, one for each round."""

    figures: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, *values: float) -> None:
        """Append to the figures of a name."""
        self.figures.setdefault(name, []).extend(values)

    def merge(self, others: Iterable[Self]) -> Self:
        """Append all that others have."""
        for other in others:
            self.missing |= other.missing
            for name, values in other.figures.items():
                self.add(name, *values)
        return self


def parsed_per_cpu_s(bodies: list[bytes]) -> float:
    """The yardstick: how many spans of these requests Python's protobuf (C) parses in a CPU second."""
    before = time.thread_time()
    for body in bodies:
        ExportTraceServiceRequest.FromString(body)
    return len(bodies) * SPANS_PER_REQUEST / (time.thread_time() - before)
