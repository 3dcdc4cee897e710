"""Who is at the other end of a TLS connection, by its certificate."""

import hashlib
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

SPIFFE = "spiffe://"


@dataclass(frozen=True, slots=True)
class Peer:
    """A certificate that was believed: its names (DNS, URI and IP SANs) and when it ends (seconds since the epoch)."""

    names: tuple[str, ...]
    expires_at: float
    digest: str = ""

    @property
    def identity(self) -> str:
        """The SPIFFE id, or else the first name."""
        return next((name for name in self.names if name.startswith(SPIFFE)), self.names[0] if self.names else "")

    def bears(self, wanted: tuple[str, ...]) -> bool:
        """Whether one of the names is wanted: exactly, but host names in any case, and ``*.`` standing for one label."""
        return any(_same(name, want) for name in self.names for want in wanted)

    def forwarded(self, by: str) -> bytes:
        """Return the header that tells an application who its caller is, as Envoy writes it (a whole line)."""
        parts = [f"By={_quoted(by)}"] if by else []
        parts.append(f"Hash={self.digest}")
        for name in self.names:
            parts.append(f"URI={_quoted(name)}" if "://" in name else f"DNS={_quoted(name)}")
        return f"x-forwarded-client-cert: {';'.join(parts)}\r\n".encode("ascii")


def peer_of(tls: ssl.SSLObject) -> Peer | None:
    """Return the peer whose certificate was verified; None: it showed none, or nobody looked."""
    found = tls.getpeercert()
    if not found:
        return None
    return Peer(
        names=names_in(found),
        expires_at=ssl.cert_time_to_seconds(str(found["notAfter"])),
        digest=hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest(),
    )


def names_in(certificate: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of a certificate as the ssl module describes it."""
    kinds = ("DNS", "URI", "IP Address")
    return tuple(str(value) for kind, value in certificate.get("subjectAltName", ()) if kind in kinds)


def _same(name: str, wanted: str) -> bool:
    if "://" in name or "://" in wanted:
        return name == wanted
    name, wanted = name.lower(), wanted.lower()
    return name == wanted or (name.startswith("*.") and "." in wanted and name[2:] == wanted.partition(".")[2])


def _quoted(name: str) -> str:
    """Keep a name from looking like more than one: certificates may bear any letters, a header may not."""
    return quote(name, safe="/:@*.-_~!$&'()+?%")
