"""Reaching Kafka: before anything depends on it, one look whether it lets us in, and words for people if it does not."""

import socket
import ssl
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

from collector.kafka import KafkaSettings
from core.faults import Fault

ANSWER_MS = 10_000


class KafkaUnreachable(Fault):
    """Nobody answers as Kafka where it should be; the same call may succeed later."""

    code = "kafka_unreachable"
    retryable = True


class KafkaRefusesUs(Fault):
    """Kafka is there, and will not talk to us the way that we were told to."""

    code = "kafka_refuses_us"


async def reach(settings: KafkaSettings) -> None:
    """Return when one of the servers let us in; raise what the last one says if none does."""
    said: Fault | None = None
    for server in settings.bootstrap_servers.split(","):
        try:
            await _knock(server.strip(), dict(settings.security))
            return
        except (OSError, KafkaError, ValueError) as error:
            said = _in_words(error, server.strip(), dict(settings.security))
    assert said
    raise said


async def _knock(server: str, security: dict[str, Any]) -> None:
    host, _, port = server.rpartition(":")
    connection = await create_conn(host.strip("[]"), int(port), request_timeout_ms=ANSWER_MS, **security)
    connection.close()
    # TLS alone succeeds where a log-in is missing: only a question tells.
    admin = AIOKafkaAdminClient(bootstrap_servers=server, request_timeout_ms=ANSWER_MS, **security)
    try:
        await admin.start()
    finally:
        await admin.close()


def _in_words(error: Exception, server: str, security: dict[str, Any]) -> Fault:
    protocol, mechanism = security.get("security_protocol", "PLAINTEXT"), security.get("sasl_mechanism", "PLAIN")
    match error:
        case SaslAuthenticationFailed():
            return KafkaRefusesUs(
                f"Kafka at {server} refuses the log-in of {security.get('sasl_plain_username')!r} by {mechanism}; "
                "check kafka_sasl_username, kafka_sasl_password and kafka_sasl_mechanism."
            )
        case UnsupportedSaslMechanismError():
            return KafkaRefusesUs(f"Kafka at {server} takes no log-in by {mechanism}; choose another kafka_sasl_mechanism.")
        case ssl.SSLCertVerificationError():
            return KafkaRefusesUs(
                f"the certificate of Kafka at {server} cannot be trusted: {error.verify_message}; "
                "kafka_ssl_cafile names the authority to trust."
            )
        case ConnectionRefusedError() | TimeoutError():
            return KafkaUnreachable(
                f"nobody listens at {server}; is Kafka running there? kafka_bootstrap_servers says where it is."
            )
        case socket.gaierror():
            return KafkaUnreachable(f"{server} is not known by name ({error.strerror}); check kafka_bootstrap_servers.")
        case ValueError():
            return KafkaRefusesUs(f"kafka_bootstrap_servers holds {server!r}; expected host:port, several parted by commas.")
        case _:
            return KafkaUnreachable(
                f"{server} closes the connection when spoken to by {protocol}; "
                "if Kafka runs there it wants another kafka_security_protocol (PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL)."
            )
