"""TLS contexts made from certificates, and made anew when those change; connections under way keep what they have."""

import contextlib
import os
import ssl
import tempfile
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import IO

from core.faults import Fault
from mesh_proxy.targets.circuit import Change
from mesh_proxy.tls.peer import Peer, peer_of
from mesh_proxy.tls.source import CertificateSource, Material
from mesh_proxy.tls.wire import reason_of

EVENT = "mesh.certificate"
CIPHERS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else anyway."""


class CertificateUnusable(Fault):
    """A certificate, its key or the trusted authorities cannot be used; ``reason`` is one of few."""

    code = "certificate_unusable"

    def __init__(self, name: str, reason: str, detail: object) -> None:
        super().__init__(f"{name}: {_SAID.get(reason, 'it cannot be used')}: {detail}")
        self.reason = reason


_SAID = {
    "unreadable": "it cannot be read; expected a PEM file that this proxy may read",
    "not_pem": "it is no PEM, or certificate and key do not belong together",
    "expired": "it is over",
    "not_yet_valid": "it is not valid yet",
}


@dataclass(frozen=True, slots=True)
class Made:
    """A context, and the certificate that it shows (None: none)."""

    context: ssl.SSLContext
    own: Peer | None


Build = Callable[[Material], Made]


class LiveContext:
    """A context that follows its source. Raises CertificateUnusable when there is nothing to begin with."""

    def __init__(self, source: CertificateSource, build: Build) -> None:
        self._source, self._build = source, build
        self.rotations = self.rejections = 0
        self._stamp: Hashable = source.stamp()
        self._material = self._read()
        self._made = self._try(self._material)
        self._suspect: Material | None = None

    def __repr__(self) -> str:
        return f"<LiveContext {self.name} rotated {self.rotations} times, rejected {self.rejections}>"

    @property
    def name(self) -> str:
        """What people know the certificate by."""
        return self._source.name

    @property
    def context(self) -> ssl.SSLContext:
        """The context for connections that begin now."""
        return self._made.context

    @property
    def own(self) -> Peer | None:
        """The certificate that is shown."""
        return self._made.own

    def look(self, *, certain: bool = False) -> Change | None:
        """Follow the source if it has changed; return what there is to tell.

        Files are seldom replaced all at once: what cannot be used is told when it is still the same at the next look,
        or at once if ``certain``, that is, if somebody says that it is complete.
        """
        stamp = self._source.stamp()
        if stamp == self._stamp and self._suspect is None and not certain:
            return None
        self._stamp = stamp
        material: Material | None = None
        try:
            material = self._read()
            if material == self._material:
                self._suspect = None
                return None
            self._made = self._try(material)
        except CertificateUnusable as unusable:
            seen_before = self._suspect == (material or Material()) or certain
            self._suspect = None if seen_before else material or Material()
            return self._reject(unusable.reason) if seen_before else None
        self._material, self._suspect = material, None
        self.rotations += 1
        expires = (("expires_at", self.own.expires_at),) if self.own else ()
        return Change(EVENT, "rotated", "content_changed", numbers=expires)

    def _reject(self, reason: str) -> Change:
        self.rejections += 1
        return Change(EVENT, "rejected", reason)

    def _read(self) -> Material:
        try:
            return self._source.read()
        except OSError as error:
            raise CertificateUnusable(self.name, "unreadable", error) from error

    def _try(self, material: Material) -> Made:
        try:
            return self._build(material)
        except ssl.SSLError as error:
            reason = reason_of(error)
            raise CertificateUnusable(self.name, reason if reason in _SAID else "not_pem", error) from error
        except ValueError as error:
            raise CertificateUnusable(self.name, "not_pem", error) from error


def server_context(material: Material, alpn: tuple[str, ...]) -> Made:
    """Return a server's context; with ``trust`` clients must have a certificate. Raises ssl.SSLError or ValueError."""
    context = _new(ssl.PROTOCOL_TLS_SERVER, material)
    if material.trust is not None:
        _believe(context, material.trust)
    context.set_alpn_protocols(list(alpn))
    return Made(context, _rehearsed(material, for_server=True))


def client_context(material: Material, alpn: tuple[str, ...]) -> Made:
    """Return a client's context; without ``trust`` it takes any server; names are judged elsewhere. Raises as above."""
    context = _new(ssl.PROTOCOL_TLS_CLIENT, material)
    if material.trust is not None:
        _believe(context, material.trust)
    context.set_alpn_protocols(list(alpn))
    return Made(context, _rehearsed(material, for_server=False) if material.chain is not None else None)


def _new(protocol: int, material: Material) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS_1_2)
    context.options |= ssl.OP_NO_RENEGOTIATION
    if protocol == ssl.PROTOCOL_TLS_CLIENT:
        context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if material.chain is not None and material.key is not None:
        with _as_file(material.chain) as chain, _as_file(material.key) as key:
            context.load_cert_chain(f"/dev/fd/{chain.fileno()}", f"/dev/fd/{key.fileno()}", password=b"")
    return context


def _believe(context: ssl.SSLContext, trust: bytes) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=trust.decode("ascii", "ignore"))  # comments may have other letters


def _as_file(content: bytes) -> IO[bytes]:
    """OpenSSL takes certificates and keys from files only: one without a name, in memory where there is such a thing."""
    in_memory = hasattr(os, "memfd_create")
    held = os.fdopen(os.memfd_create("tls"), "w+b") if in_memory else tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes
    held.write(content)
    held.flush()
    held.seek(0)
    return held


def _rehearsed(material: Material, *, for_server: bool) -> Peer | None:
    """Show the certificate to somebody who trusts exactly it, in memory; return what it says. Raises ssl.SSLError.

    A certificate that is over, has another key or serves another purpose is found out here and not by the first client.
    """
    server, client = _new(ssl.PROTOCOL_TLS_SERVER, material), _new(ssl.PROTOCOL_TLS_CLIENT, material)
    _believe(client if for_server else server, material.chain or b"")
    for context in (server, client):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    at_server = server.wrap_bio(to_server, to_client, server_side=True)
    at_client = client.wrap_bio(to_client, to_server)
    for end in (at_client, at_server, at_client, at_server):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return peer_of(at_client if for_server else at_server)
