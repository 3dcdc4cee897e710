"""Kafka behind TLS and a log-in: collect and ingest work through it, and whoever is told wrongly hears what and where."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.kafka import lag
from tests.fakes.kafka_mesh import SPANS, Collect, Ingest, Once
from tests.fakes.kafka_secured import PASSWORD, USER, Secured, certificate, kafka_secured
from tests.fakes.processes import until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with kafka_secured(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


def _told(mechanism: str = "PLAIN", password: str = PASSWORD, **more: object) -> tuple[str, ...]:
    told = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": mechanism,
        "sasl_username": USER,
        "sasl_password": password,
        **more,
    }
    return tuple(f"MESHSCOPE_KAFKA_{name.upper()}={value}" for name, value in told.items() if value)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_collect_and_ingest_through_tls_and_a_log_in(tmp_path: Path, secured: Secured, mechanism: str) -> None:
    settings = (*_told(mechanism, ssl_cafile=secured.ca), f"MESHSCOPE_KAFKA_GROUP_ID={mechanism}")
    collect = Collect(tmp_path / "collect.log", secured.sasl_ssl, settings=settings)
    ingest = Ingest(tmp_path / "ingest.log", secured.sasl_ssl, "--data-dir", str(tmp_path / "data"), settings=settings)
    try:
        until("collect being ready", collect.ready)
        sender = Once(collect.traces_url)
        sender.start()
        until("answers", lambda: sum(sender.answered.values()) > 5)
        sender.stopping.set()
        sender.join(60)
        until("ingest storing", ingest.stores)
        until("everything being stored", lambda: asyncio.run(lag(secured.plaintext, mechanism)) == 0)
        stored = httpx.get(f"http://127.0.0.1:{ingest.metrics_port}/metrics").text
        assert 'meshscope_stored_requests_total{signal="traces"}' in stored
        assert (collect.stop(), ingest.stop()) == (0, 0)
    finally:
        collect.kill()
        ingest.kill()
    assert PASSWORD not in collect.said() + ingest.said()
    assert SPANS


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"password": "wrong-battery"}, "refuses the log-in of 'meshscope' by PLAIN; check kafka_sasl_username"),
        ({"mechanism": "SCRAM-SHA-512", "password": "wrong-battery"}, "refuses the log-in of 'meshscope' by SCRAM-SHA-512"),
        ({"mechanism": "SCRAM-SHA-256"}, "takes no log-in by SCRAM-SHA-256; choose another kafka_sasl_mechanism"),
        ({"ssl_cafile": "another"}, "cannot be trusted: unable to get local issuer certificate; kafka_ssl_cafile names"),
        ({"ssl_cafile": "/nowhere/ca.pem"}, "kafka_ssl_cafile '/nowhere/ca.pem' cannot be used"),
        ({"security_protocol": "PLAINTEXT"}, "closes the connection when spoken to by PLAINTEXT"),
        ({"security_protocol": "SSL"}, "closes the connection when spoken to by SSL"),
        ({"password": ""}, "SASL_SSL needs a log-in; give kafka_sasl_username and kafka_sasl_password"),
    ],
    ids=["password", "password-scram", "mechanism", "authority", "no-file", "plaintext", "no-log-in", "no-password"],
)
def test_what_is_told_wrongly(tmp_path: Path, secured: Secured, told: dict[str, str], expected: str) -> None:
    if told.get("ssl_cafile") == "another":
        told = told | {"ssl_cafile": str(certificate(tmp_path, "another")[0])}
    collect = Collect(tmp_path / "collect.log", secured.sasl_ssl, settings=_told(**{"ssl_cafile": str(secured.ca)} | told))
    assert collect.process.wait(60) in (1, 2)
    assert expected in collect.said()
    assert "Traceback" not in collect.said()
    assert not {PASSWORD, "wrong-battery"} & set(collect.said().replace("'", " ").split())


def test_tls_spoken_to_a_kafka_without(tmp_path: Path, secured: Secured) -> None:
    collect = Collect(tmp_path / "collect.log", secured.plaintext, settings=_told(ssl_cafile=secured.ca))
    assert collect.process.wait(60) == 1
    assert "closes the connection when spoken to by SASL_SSL" in collect.said()


def test_nobody_there(tmp_path: Path) -> None:
    collect = Collect(tmp_path / "collect.log", "127.0.0.1:1")
    assert collect.process.wait(60) == 1
    assert "nobody listens at 127.0.0.1:1; is Kafka running there?" in collect.said()
