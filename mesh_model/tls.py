"""App Mesh's TLS: what a listener offers, what a client insists on, and what the two come to between one pair.

Certificates and trust may be ``file``, ``acm`` or ``sds``. All are read, so that a control plane can hand out the
latter two; a proxy that follows a file has nobody to ask for them and refuses them by name.
"""

from dataclasses import dataclass
from typing import Literal, cast

from mesh_model.document import Cursor

TlsMode = Literal["STRICT", "PERMISSIVE", "DISABLED"]
_FILE_INSTEAD = "`file`: certificates from there are followed as they change; `acm` and `sds` need a control plane"


@dataclass(frozen=True, slots=True)
class FileCertificate:
    """A certificate with its chain, and its key: paths of PEM files."""

    certificate_chain: str
    private_key: str


@dataclass(frozen=True, slots=True)
class FileTrust:
    """The certificate authorities that are trusted: the path of a PEM file."""

    certificate_chain: str


@dataclass(frozen=True, slots=True)
class Acm:
    """What AWS Certificate Manager keeps: a certificate, or one to three authorities."""

    arns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sds:
    """What Envoy's secret discovery service hands out by name: a certificate, or authorities."""

    secret_name: str


Certificate = FileCertificate | Acm | Sds
Trust = FileTrust | Acm | Sds


@dataclass(frozen=True, slots=True)
class Validation:
    """Whom to believe: the peer's certificate comes from ``trust`` and bears one of ``names`` exactly (empty: unset)."""

    trust: Trust
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """What a listener takes: TLS only (STRICT), both (PERMISSIVE), no TLS (DISABLED).

    With ``validation`` a client that speaks TLS must have a certificate, too.
    """

    mode: TlsMode
    certificate: Certificate
    validation: Validation | None = None

    @property
    def on(self) -> bool:
        """Whether TLS is spoken at all."""
        return self.mode != "DISABLED"


@dataclass(frozen=True, slots=True)
class ClientTls:
    """What a client insists on. Not ``enforce``: only where the server offers TLS. ``ports``: only for those (empty: all)."""

    validation: Validation
    enforce: bool = True
    ports: tuple[int, ...] = ()
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Origination:
    """How connections to a target are made with TLS. ``trust`` None: any certificate will do, as App Mesh has it for clients
    without a policy; else the certificate must bear one of ``names``. ``server_name`` (SNI) is empty for none."""

    certificate: Certificate | None = None
    trust: Trust | None = None
    names: tuple[str, ...] = ()
    server_name: str = ""


def originate(policy: ClientTls | None, listener: ListenerTls | None, port: int, found_as: tuple[str, ...]) -> Origination | None:
    """Return how a client with ``policy`` calls a target's ``listener`` on ``port``; None: without TLS.

    A client without a policy follows the server: TLS if it takes nothing else. ``found_as`` are the names that service
    discovery finds the target by (host names or addresses); a certificate must bear one of them if the policy names none.
    """
    server_name = found_as[0] if len(found_as) == 1 and _is_host_name(found_as[0]) else ""
    if policy is None or (policy.ports and port not in policy.ports):
        strict = listener is not None and listener.mode == "STRICT"
        return Origination(server_name=server_name) if strict else None
    if not policy.enforce and (listener is None or not listener.on):
        return None
    validation = policy.validation
    return Origination(policy.certificate, validation.trust, validation.names or found_as, server_name)


def read_listener_tls(at: Cursor) -> ListenerTls:
    """Read ``tls`` of a listener, of a virtual node or a virtual gateway."""
    fields = at.fields("mode", "certificate", "validation")
    mode = cast("TlsMode", fields.need("mode", "STRICT, PERMISSIVE or DISABLED").choice("STRICT", "PERMISSIVE", "DISABLED"))
    certificate = fields.need("certificate", "one of `file`, `acm`, `sds`")
    validation = fields.get("validation")
    used = mode != "DISABLED"  # App Mesh wants a certificate in any case; one that nobody shows may come from anywhere
    return ListenerTls(
        mode=mode,
        certificate=_read_certificate(certificate, "file", "acm", "sds", used=used),
        validation=_read_validation(validation, "file", "sds", used=used) if validation else None,
    )


def read_client_policy(at: Cursor) -> ClientTls | None:
    """Read a ``clientPolicy``, of a backend or of the defaults; None when it says nothing."""
    tls = at.fields("tls").get("tls")
    if tls is None:
        return None
    fields = tls.fields("enforce", "ports", "certificate", "validation")
    enforce, ports, certificate = fields.get("enforce"), fields.get("ports"), fields.get("certificate")
    return ClientTls(
        validation=_read_validation(fields.need("validation", "a mapping with `trust`"), "file", "acm", "sds", used=True),
        enforce=enforce.truth() if enforce else True,
        ports=tuple(port.whole(1, 65535) for port in ports.items()) if ports else (),
        certificate=_read_certificate(certificate, "file", "sds", used=True) if certificate else None,
    )


def _read_certificate(at: Cursor, *kinds: str, used: bool) -> Certificate:
    kind, inner = at.fields(*kinds).need_one(*kinds)
    if kind == "acm":
        _refuse(inner, kind, used=used)
        return Acm((inner.fields("certificateArn").need("certificateArn", "an ARN").text(longest=2048),))
    if kind == "sds":
        _refuse(inner, kind, used=used)
        return Sds(inner.fields("secretName").need("secretName", "a secret's name").text())
    fields = inner.fields("certificateChain", "privateKey")
    chain = fields.need("certificateChain", "the path of a PEM file")
    return FileCertificate(chain.text(), fields.need("privateKey", "the path of a PEM file").text())


def _read_validation(at: Cursor, *kinds: str, used: bool) -> Validation:
    fields = at.fields("trust", "subjectAlternativeNames")
    names: tuple[str, ...] = ()
    if names_at := fields.get("subjectAlternativeNames"):
        match = names_at.fields("match").need("match", "a mapping with `exact`")
        exact = match.fields("exact").need("exact", "a list of names")
        names = tuple(name.text(longest=254) for name in exact.items(least=1))
    return Validation(_read_trust(fields.need("trust", "who vouches for the peer"), kinds, used=used), names)


def _read_trust(at: Cursor, kinds: tuple[str, ...], *, used: bool) -> Trust:
    kind, inner = at.fields(*kinds).need_one(*kinds)
    if kind == "acm":
        _refuse(inner, kind, used=used)
        arns = inner.fields("certificateAuthorityArns").need("certificateAuthorityArns", "one to three ARNs")
        return Acm(tuple(arn.text(longest=2048) for arn in arns.items(least=1, most=3)))
    if kind == "sds":
        _refuse(inner, kind, used=used)
        return Sds(inner.fields("secretName").need("secretName", "a secret's name").text())
    return FileTrust(inner.fields("certificateChain").need("certificateChain", "the path of a PEM file").text())


def _refuse(at: Cursor, kind: str, *, used: bool) -> None:
    if used:
        at.complain(f"`{kind}` cannot be served from a mesh file", _FILE_INSTEAD)


def _is_host_name(name: str) -> bool:
    """Whether a server can be told this name: TLS wants a host name there, no address."""
    return not name.replace(".", "").isdecimal() and ":" not in name
