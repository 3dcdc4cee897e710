"""What collector and ingest must agree on about Kafka: topics, and how to reach it."""

from dataclasses import dataclass
from typing import Any

from storage.telemetry.engine import Signal

TOPICS: dict[Signal, str] = {"traces": "otlp_spans", "logs": "otlp_logs", "metrics": "otlp_metrics"}
"""Values are whole OTLP Export*ServiceRequests in protobuf: what the OpenTelemetry Collector calls ``otlp_proto``."""

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
    instance_id: str | None = None
    """A name that this process keeps when it is started again, so that its partitions wait for it."""

    def client(self) -> dict[str, Any]:
        """Return the keyword arguments that every aiokafka client takes."""
        return {"bootstrap_servers": self.bootstrap_servers, **dict(self.security)}
