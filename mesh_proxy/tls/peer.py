"""Who is at the other end of a TLS connection, by its certificate."""

import hashlib
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

SPIFFE = "spiffe://"


@dataclass(frozen=True, slots=True)
class Peer:
    """A certificate that was believed: its names (DNS, URI and IP SANs) and when it ends (seconds since the epoch).

    ``introduction`` is the header line by which an application is told of it.
    """

    names: tuple[str, ...]
    expires_at: float
    introduction: bytes = field(default=b"", repr=False)

    @property
    def identity(self) -> str:
        """The SPIFFE id, or else the first name."""
        return next((name for name in self.names if name.startswith(SPIFFE)), self.names[0] if self.names else "")

    def bears(self, wanted: tuple[str, ...]) -> bool:
        """Whether one of the names is wanted: exactly, but host names in any case, and ``*.`` standing for one label."""
        return any(_same(name, want) for name in self.names for want in wanted)


def peer_of(tls: ssl.SSLObject) -> Peer | None:
    """Return the peer whose certificate was verified; None: it showed none, or nobody looked."""
    found = tls.getpeercert()
    if not found:
        return None
    names = names_in(found)
    digest = hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()
    return Peer(names, ssl.cert_time_to_seconds(str(found["notAfter"])), introduction(names, digest))


def introduction(names: tuple[str, ...], digest: str) -> bytes:
    """Return the line that tells an application who its caller is, in Envoy's form."""
    parts = [f"Hash={digest}", *(f"{'URI' if '://' in name else 'DNS'}={_quoted(name)}" for name in names)]
    return f"x-forwarded-client-cert: {';'.join(parts)}\r\n".encode("ascii")


def names_in(certificate: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of a certificate as the ssl module describes it.

    What stands among the host names and is none could pass for a SPIFFE id: it is no name.
    """
    found = []
    for kind, value in certificate.get("subjectAltName", ()):
        is_uri = "://" in value
        if (kind == "URI" and is_uri) or (kind == "DNS" and "/" not in value) or kind == "IP Address":
            found.append(str(value))
    return tuple(found)


def _same(name: str, wanted: str) -> bool:
    if "://" in name or "://" in wanted:
        return name == wanted
    name, wanted = name.lower(), wanted.lower()
    return name == wanted or (name.startswith("*.") and "." in wanted and name[2:] == wanted.partition(".")[2])


def _quoted(name: str) -> str:
    """Keep a name from looking like more than one: certificates may bear any letters, a header may not."""
    return quote(name, safe="/:@*.-_~!$&'()+?%")
