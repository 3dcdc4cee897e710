"""What collector and ingest must agree on about Kafka: topics, and how to reach it."""

import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiokafka.codec import lz4_encode
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from storage.telemetry.engine import Signal

TOPICS: dict[Signal, str] = {"traces": "otlp_spans", "logs": "otlp_logs", "metrics": "otlp_metrics"}
"""Values are whole OTLP Export*ServiceRequests in protobuf: what the OpenTelemetry Collector calls ``otlp_proto``."""

# aiokafka compresses with lz4's level 9 and takes no other; level 0 costs a ninth and makes messages a fifth larger (ADR 6).
sys.modules[DefaultRecordBatchBuilder.__module__].lz4_encode = partial(lz4_encode, level=0)  # type: ignore[attr-defined]

DEAD_LETTERS = "otlp_dead_letter"

MESSAGE_BYTES = 18 * 1024 * 1024
"""Larger than any request that admission lets pass; the broker's ``message.max.bytes`` must allow it."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """How to reach Kafka, and how many partitions topics get that do not exist yet."""

    bootstrap_servers: str
    group_id: str = "meshscope"
    partitions: int = 4
    replication_factor: int = 1
    security: tuple[tuple[str, Any], ...] = ()
    """Keyword arguments of every aiokafka client: security_protocol, ssl_context, sasl_*."""

    def client(self) -> dict[str, Any]:
        """Return the keyword arguments that every aiokafka client takes."""
        return {"bootstrap_servers": self.bootstrap_servers, **dict(self.security)}
