"""A real Kafka that also listens with TLS and a log-in: PLAIN and SCRAM-SHA-512, with certificates of its own making."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.kafka import SCRIPT, Kafka
from tests.fakes.processes import free_port

USER, PASSWORD = "meshscope", "correct-horse"


@dataclass(frozen=True, slots=True)
class Secured:
    plaintext: str
    sasl_ssl: str
    ca: Path


@contextmanager
def kafka_secured(home: Path) -> Iterator[Secured]:
    """Yield where it listens, and the authority that its certificate is from."""
    home.mkdir(parents=True, exist_ok=True)
    port, node = free_port(), Kafka(home)
    ca, pair = certificate(home, "broker")
    controller = f"CONTROLLER://127.0.0.1:{int(node.servers.rpartition(':')[2]) + 1}"
    told = {
        "listeners": f"PLAINTEXT://{node.servers},{controller},SASL_SSL://127.0.0.1:{port}",
        "advertised.listeners": f"PLAINTEXT://{node.servers},SASL_SSL://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": (
            f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        ),
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(pair),
    }
    (home / "more.properties").write_text("\n" + "".join(f"{name}={value}\n" for name, value in told.items()))
    # SCRAM's users stand in Kafka's own metadata.
    options = f"--add-scram SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
    port_of_node = node.servers.rpartition(":")[2]
    environment = os.environ | {"KAFKA_FORMAT_OPTIONS": options}
    subprocess.run([str(SCRIPT), "up", str(home), port_of_node], check=True, timeout=600, env=environment)
    try:
        yield Secured(node.servers, f"127.0.0.1:{port}", ca)
    finally:
        node.down()


def certificate(home: Path, name: str) -> tuple[Path, Path]:
    """Return an authority of its own, and a certificate for 127.0.0.1 from it together with its key, both PEM."""
    home.mkdir(parents=True, exist_ok=True)
    ca, ca_key, key, request, cert = (
        home / f"{name}-{part}" for part in ("ca.pem", "ca.key", "key.pem", "request.pem", "cert.pem")
    )
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl("req", "-x509", *new_key, "-days", "2", "-subj", f"/CN={name} authority", "-keyout", str(ca_key), "-out", str(ca))
    _openssl("req", *new_key, "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(request))
    names = home / f"{name}-names"
    names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
    from_ca = ("-CA", str(ca), "-CAkey", str(ca_key), "-CAcreateserial", "-days", "2", "-extfile", str(names))
    _openssl("x509", "-req", "-in", str(request), *from_ca, "-out", str(cert))
    pair = home / f"{name}-pair.pem"
    pair.write_text(key.read_text() + cert.read_text())
    return ca, pair


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
