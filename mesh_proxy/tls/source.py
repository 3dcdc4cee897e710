"""Where certificates come from: files today; what is pushed tomorrow comes through the same door."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mesh_model.tls import Certificate, FileCertificate, FileTrust, Trust


@dataclass(frozen=True, slots=True)
class Material:
    """PEM as it was found: a certificate with its chain, its key, and the authorities that are trusted.

    None: not wanted. What is wanted and empty is something else: it must not be taken for trust in everybody.
    """

    chain: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    trust: bytes | None = None


class CertificateSource(Protocol):
    """One certificate, or the authorities to trust, or both."""

    @property
    def name(self) -> str:
        """What people know it by."""
        ...

    def stamp(self) -> Hashable:
        """Return what changes whenever the material may have changed; asked every second, so it must be cheap."""
        ...

    def read(self) -> Material:
        """Return the material as it is now. Raises OSError."""
        ...


class FileSource:
    """Material in files. A file that is replaced, also by way of a symbolic link, is seen by its number, size and time."""

    def __init__(self, certificate: FileCertificate | None, trust: FileTrust | None) -> None:
        self._chain = Path(certificate.certificate_chain) if certificate else None
        self._key = Path(certificate.private_key) if certificate else None
        self._trust = Path(trust.certificate_chain) if trust else None

    @property
    def name(self) -> str:
        """The path of the certificate, or else that of the authorities."""
        return str(self._chain or self._trust or "")

    def stamp(self) -> Hashable:
        """Return number, size and time of each file."""
        return tuple(map(stamp_of, (self._chain, self._key, self._trust)))

    def read(self) -> Material:
        """Read the files."""
        return Material(*(path.read_bytes() if path else None for path in (self._chain, self._key, self._trust)))


def source_of(certificate: Certificate | None, trust: Trust | None) -> CertificateSource:
    """Return the source of what a mesh names. A mesh file names only files: the rest was refused when it was read."""
    assert certificate is None or isinstance(certificate, FileCertificate)
    assert trust is None or isinstance(trust, FileTrust)
    return FileSource(certificate, trust)


def stamp_of(path: Path | None) -> Hashable:
    """Return number, size and time of a file; None when it is not there."""
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns) if found else None
