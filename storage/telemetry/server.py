"""Where a ClickHouse server is, and who we are to it."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.faults import Fault

_PORTS = {"http": 8123, "https": 8443}


class ServerUrlInvalid(Fault):
    """The URL of the server cannot be used."""

    code = "server_url_invalid"


@dataclass(frozen=True, slots=True)
class Server:
    """How a ClickHouse server is reached over HTTP, and how many seconds it has to answer.

    With ``cluster``, it is the way into that cluster.
    """

    host: str
    port: int
    tls: bool = False
    user: str = "default"
    password: str = field(default="", repr=False)
    database: str = "meshscope"
    ca_file: Path | None = None
    verify: bool = True
    cert_file: Path | None = None
    key_file: Path | None = None
    cluster: str = ""
    answer_s: int = 120

    @property
    def where(self) -> str:
        """Return the address as people write it, without a password."""
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL says; what it does not say is empty."""

    host: str
    port: int
    tls: bool
    user: str
    password: str = field(repr=False)
    database: str


def read_url(url: str) -> Address:
    """Read ``http[s]://[user[:password]@]host[:port][/database]``; raise ServerUrlInvalid for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid() from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
        raise _invalid()
    return Address(
        parts.hostname,
        port or _PORTS[parts.scheme],
        parts.scheme == "https",
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        unquote(parts.path.strip("/")),
    )


def _invalid() -> ServerUrlInvalid:
    # The URL is not repeated: it may hold a password.
    return ServerUrlInvalid(
        "clickhouse_url cannot be read; expected http://host:8123 or https://host:8443, perhaps with user:password@ and /database"
    )
