"""Wires Kafka in: the bus that produces to it, and the ingest that stores from it."""

import asyncio
import ssl
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
from collector.reach_kafka import reach
from core.clock import Clock
from core.faults import Fault
from storage.telemetry.engine import Engine


class KafkaUnknown(Fault):
    """The command needs Kafka and was not told where it is."""

    code = "kafka_unknown"


async def kafka_bus(stack: AsyncExitStack, settings: Settings, limits: Limits) -> KafkaBus:
    """Return a started bus that closes with ``stack``."""
    bus = KafkaBus(await reached(settings), limits)
    await bus.start()
    stack.push_async_callback(bus.close)
    return bus


async def ingest_from_kafka(
    stack: AsyncExitStack, settings: Settings, engine: Engine, clock: Clock, counts: Counts
) -> tuple[KafkaIngest, asyncio.Task[None]]:
    """Return the ingest and its running; it ends with ``stack``, after the block under way."""
    kafka = await reached(settings)
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


async def reached(settings: Settings) -> KafkaSettings:
    """Return how to reach Kafka, after it let us in; raise a Fault that says why it does not."""
    kafka = kafka_of(settings)
    await reach(kafka)
    return kafka


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
        settings.kafka_group_instance_id,
    )


def _security(settings: Settings) -> dict[str, Any]:
    said: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.endswith("SSL"):
        said["ssl_context"] = _tls(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        if not settings.kafka_sasl_username or not password:
            raise KafkaUnknown(
                f"{settings.kafka_security_protocol} needs a log-in; give kafka_sasl_username and kafka_sasl_password, "
                "the latter best as MESHSCOPE_KAFKA_SASL_PASSWORD."
            )
        said |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": password.get_secret_value(),
        }
    return said


def _tls(settings: Settings) -> ssl.SSLContext:
    files = {name: getattr(settings, f"kafka_ssl_{name}") for name in ("cafile", "certfile", "keyfile")}
    named = ", ".join(f"kafka_ssl_{name} {str(file)!r}" for name, file in files.items() if file)
    try:
        return create_ssl_context(**files)  # type: ignore[no-any-return] # aiokafka ships no types
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise KafkaUnknown(f"{named} cannot be used: {error}; expected readable PEM files that fit.") from None
