"""The bus on Kafka: a request is durable when all replicas in sync have it."""

import asyncio
import logging
from collections.abc import Iterator

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from collector.admission import Busy, Limits
from collector.kafka import DEAD_LETTERS, MESSAGE_BYTES, TOPICS, KafkaSettings
from collector.readings import Reading
from collector.record_batch import compress_as_filled
from storage.telemetry.engine import Signal

log = logging.getLogger(__name__)

DELIVERY_S = 30.0
BATCH_BYTES = 1024 * 1024
"""Uncompressed; a request that is larger is a batch of its own."""


class KafkaBus:
    """Produces whole requests, idempotently, with ``acks=all``; refuses what its bounded buffer has no room for.

    A sender that gets no answer sends the same again, and Kafka then holds it twice: the promise of once begins at Kafka.
    """

    def __init__(self, settings: KafkaSettings, limits: Limits) -> None:
        self._settings, self._limits = settings, limits
        self._bytes = 0
        # One after the other: all that wait for room in a batch would be woken each time that there is some, for nothing.
        self._adding = asyncio.Lock()
        self._producer = AIOKafkaProducer(
            **settings.client(),
            enable_idempotence=True,
            acks="all",
            max_request_size=MESSAGE_BYTES,
            linger_ms=5,
            request_timeout_ms=int(DELIVERY_S * 1000),
        )
        compress_as_filled(self._producer, BATCH_BYTES)

    def __repr__(self) -> str:
        return f"<KafkaBus {self._settings.bootstrap_servers} bytes={self._bytes}>"

    async def start(self) -> None:
        """Make the topics that are missing, then take requests."""
        await make_topics(self._settings)
        await self._producer.start()

    async def publish(self, signal: Signal, request: bytes, copied: int = 0) -> None:
        """Take one request; on return it is on Kafka (see Bus.publish)."""
        if self._bytes + len(request) > self._limits.in_flight_bytes:
            raise Busy(f"{self._bytes} bytes wait for Kafka; send the same again in a few seconds")
        self._bytes += len(request)
        try:
            async with asyncio.timeout(DELIVERY_S):
                async with self._adding:
                    delivered = await self._producer.send(TOPICS[signal], request)
                await delivered
        except (KafkaError, TimeoutError) as error:
            raise Busy(f"Kafka did not take the request ({error or type(error).__name__}); send the same again") from error
        finally:
            self._bytes -= len(request)

    def readings(self) -> Iterator[Reading]:
        """Yield what can be read off now (see Gauged)."""
        yield Reading("collect_in_flight_bytes", "Bytes of requests that Kafka has not confirmed.", self._bytes)
        yield Reading("collect_in_flight_bytes_limit", "What they are limited to.", self._limits.in_flight_bytes)

    async def close(self) -> None:
        """Deliver what was taken, then stop."""
        await self._producer.stop()


async def make_topics(settings: KafkaSettings) -> None:
    """Make the topics that are missing; those that exist stay as they are."""
    admin = AIOKafkaAdminClient(**settings.client())
    await admin.start()
    try:
        missing = {*TOPICS.values(), DEAD_LETTERS} - set(await admin.list_topics())
        if missing:
            log.info("making the topics %s", ", ".join(sorted(missing)))
            await admin.create_topics(
                [
                    NewTopic(
                        topic,
                        settings.partitions,
                        settings.replication_factor,
                        topic_configs={"max.message.bytes": str(MESSAGE_BYTES + 1_000_000)},
                    )
                    for topic in sorted(missing)
                ]
            )
    except TopicAlreadyExistsError:
        pass  # another process was faster
    finally:
        await admin.close()
