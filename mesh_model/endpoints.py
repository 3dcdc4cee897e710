"""Where the proxies of a virtual node are found."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

DnsResponse = Literal["LOADBALANCER", "ENDPOINTS"]
IpPreference = Literal["IPv6_PREFERRED", "IPv4_PREFERRED", "IPv4_ONLY", "IPv6_ONLY"]


@dataclass(frozen=True, slots=True)
class StaticEndpoint:
    """One ``host:port``, the zone it is in, and the port of the listener it stands for (None: for all of them)."""

    address: str
    zone: str = ""
    port: int | None = None


@dataclass(frozen=True, slots=True)
class StaticEndpoints:
    """Fixed addresses of the proxies that stand before a virtual node (Meshscope's extension)."""

    endpoints: tuple[StaticEndpoint, ...]

    @classmethod
    def of(cls, *addresses: str) -> "StaticEndpoints":
        """Return endpoints of which only the address is known."""
        return cls(tuple(StaticEndpoint(address) for address in addresses))

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses."""
        return tuple(endpoint.address for endpoint in self.endpoints)

    def at(self, port: int) -> "StaticEndpoints":
        """Return the endpoints that stand for the listener at ``port``."""
        return StaticEndpoints(tuple(each for each in self.endpoints if each.port in (None, port)))


@dataclass(frozen=True, slots=True)
class FileEndpoints:
    """A file with addresses that is watched (Meshscope's extension)."""

    path: str


@dataclass(frozen=True, slots=True)
class Dns:
    """A host name: one address that balances by itself (LOADBALANCER), or every address it resolves to (ENDPOINTS)."""

    hostname: str
    response: DnsResponse = "LOADBALANCER"
    ip_preference: IpPreference | None = None

    @property
    def is_followed(self) -> bool:
        """Whether every address is kept; a name such as ``_http._tcp.api.local`` (SRV) can only be followed."""
        return self.response == "ENDPOINTS" or self.hostname.startswith("_")


@dataclass(frozen=True, slots=True)
class CloudMap:
    """The instances of an AWS Cloud Map service that have all the ``attributes``."""

    namespace: str
    service: str
    attributes: tuple[tuple[str, str], ...] = ()
    ip_preference: IpPreference | None = None


Discovery: TypeAlias = StaticEndpoints | FileEndpoints | Dns | CloudMap
