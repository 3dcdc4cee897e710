"""Wires Kafka in: the bus that produces to it, and the ingest that stores from it."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from aiokafka.helpers import create_ssl_context

from cli.lifecycle import cancel
from cli.settings import Settings
from collector.admission import Limits
from collector.bus_kafka import KafkaBus, make_topics
from collector.counts import Counts
from collector.ingest_kafka import KafkaIngest
from collector.kafka import KafkaSettings
from core.clock import Clock
from core.faults import Fault
from storage.telemetry.engine import Engine


class KafkaUnknown(Fault):
    """The command needs Kafka and was not told where it is."""

    code = "kafka_unknown"


async def kafka_bus(stack: AsyncExitStack, settings: Settings, limits: Limits) -> KafkaBus:
    """Return a started bus that closes with ``stack``."""
    bus = KafkaBus(kafka_of(settings), limits)
    await bus.start()
    stack.push_async_callback(bus.close)
    return bus


async def ingest_from_kafka(
    stack: AsyncExitStack, settings: Settings, engine: Engine, clock: Clock, counts: Counts
) -> tuple[KafkaIngest, asyncio.Task[None]]:
    """Return the ingest and its running; it ends with ``stack``, after the block under way."""
    kafka = kafka_of(settings)
    await make_topics(kafka)
    ingest = KafkaIngest(engine, kafka, clock, counts)
    running = asyncio.create_task(ingest.run(), name="ingest")

    async def end() -> None:
        ingest.stop()
        await running

    stack.push_async_callback(end)
    watching = asyncio.create_task(ingest.watch(), name="watch the lag")
    stack.push_async_callback(cancel, watching)
    return ingest, running


def kafka_of(settings: Settings) -> KafkaSettings:
    """Return how to reach Kafka; raise KafkaUnknown when nobody said where it is."""
    if not settings.kafka_bootstrap_servers:
        raise KafkaUnknown("this command needs Kafka; say where it is with --kafka-bootstrap-servers, for example 127.0.0.1:9092")
    return KafkaSettings(
        settings.kafka_bootstrap_servers,
        settings.kafka_group_id,
        settings.kafka_partitions,
        settings.kafka_replication_factor,
        tuple(_security(settings).items()),
    )


def _security(settings: Settings) -> dict[str, Any]:
    said: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.endswith("SSL"):
        said["ssl_context"] = create_ssl_context(
            cafile=settings.kafka_ssl_cafile, certfile=settings.kafka_ssl_certfile, keyfile=settings.kafka_ssl_keyfile
        )
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        said |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
        }
    return said
