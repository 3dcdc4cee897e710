"""Certificates for tests: an authority, and what it signs, as PEM files."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Pair:
    """Paths of a certificate and its key."""

    chain: Path
    key: Path

    @property
    def file(self) -> dict[str, dict[str, str]]:
        """As a mesh file names it."""
        return {"file": {"certificateChain": str(self.chain), "privateKey": str(self.key)}}


class Authority:
    """Signs certificates into ``folder``."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(self._name).issuer_name(self._name).public_key(self._key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - HOUR).not_valid_after(now + 24 * HOUR)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    @property
    def trust(self) -> dict[str, dict[str, dict[str, str]]]:
        """As a mesh file names it."""
        return {"trust": {"file": {"certificateChain": str(self.path)}}}

    def sign(self, *names: str, at: str = "", expires_in: timedelta = HOUR) -> Pair:
        """Write a new key and a certificate that bears ``names``; ``at`` is the files' name, the first name if not given."""
        at = at or names[0].replace("/", "_").replace(":", "_")
        pair = Pair(self._folder / f"{at}.pem", self._folder / f"{at}.key")
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self._name).public_key(key.public_key())
        builder = (
            builder.serial_number(x509.random_serial_number()).not_valid_before(now - 2 * HOUR).not_valid_after(now + expires_in)
        )
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=True)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(usage, critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = builder.add_extension(identifier, critical=False).sign(self._key, hashes.SHA256())
        private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        _replace(pair.key, key.private_bytes(serialization.Encoding.PEM, *private))
        _replace(pair.chain, certificate.public_bytes(serialization.Encoding.PEM))
        return pair


def _name(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _replace(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)
