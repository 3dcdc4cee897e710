"""Endpoints behind a DNS name: A, AAAA and SRV records with their time to live, through c-ares (Envoy's resolver too)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, SOCK_STREAM, AddressFamily

import aiodns
import pycares

from mesh_model.endpoints import IpPreference
from mesh_proxy.discovery.places import Found, NotFound
from mesh_proxy.targets.outlier import Place

QUERY_S = 2.0
TRIES = 2
SHORTEST_S, LONGEST_S = 1.0, 300.0
"""Bounds of what a time to live is taken for; /etc/hosts has none, which counts as the shortest."""
_FAMILIES: dict[IpPreference | None, tuple[AddressFamily, ...]] = {
    "IPv4_ONLY": (AF_INET,),
    "IPv6_ONLY": (AF_INET6,),
    "IPv4_PREFERRED": (AF_INET, AF_INET6),
    "IPv6_PREFERRED": (AF_INET6, AF_INET),
    None: (AF_INET, AF_INET6),
}


class DnsNames:
    """Asks one or more name servers (``host:port``; none: those of the system) for addresses. Close it in the end."""

    def __init__(self, servers: Sequence[str] = ()) -> None:
        self._resolver = aiodns.DNSResolver(servers or None, timeout=QUERY_S, tries=TRIES)

    async def close(self) -> None:
        """Give up what is asked."""
        await self._resolver.close()

    async def addresses(self, name: str, preference: IpPreference | None) -> tuple[list[str], float]:
        """Return the addresses of a name, those of the preferred family if there are any, and their time to live.

        Without a preference it is IPv4's, as App Mesh's is. Raises NotFound.
        """
        problems = []
        for family in _FAMILIES[preference]:
            try:
                found = await self._resolver.getaddrinfo(name, family=family, type=SOCK_STREAM)
            except aiodns.error.DNSError as error:
                problems.append(str(error.args[-1]))
                continue
            addresses = sorted({_text(node.addr[0]) for node in found.nodes if node.family == family})
            if addresses:
                return addresses, bounded(min(node.ttl for node in found.nodes))
        raise NotFound(f"`{name}` has no address: {'; '.join(dict.fromkeys(problems)) or 'no such record'}")

    def endpoints(self, name: str, port: int, preference: IpPreference | None = None) -> "DnsEndpoints":
        """Return the source of all addresses of a name, at one port."""
        return DnsEndpoints(self, name, port, preference)

    def locator(self, preference: IpPreference | None, chance: Callable[[], float]) -> Callable[[str], Awaitable[str]]:
        """Return what finds one of the addresses of a host; it raises OSError when there is none."""

        async def locate(host: str) -> str:
            try:
                addresses, _ = await self.addresses(host, preference)
            except NotFound as problem:
                raise OSError(str(problem)) from problem
            return addresses[int(chance() * len(addresses))]

        return locate

    async def services(self, name: str) -> tuple[list[pycares.SRVRecordData], float]:
        """Return the SRV records of a name that has the best (lowest) priority, and their time to live. Raises NotFound."""
        try:
            answer = (await self._resolver.query_dns(name, "SRV")).answer
        except aiodns.error.DNSError as error:
            raise NotFound(f"`{name}` has no SRV record: {error.args[-1]}") from error
        records = [(record.data, record.ttl) for record in answer if isinstance(record.data, pycares.SRVRecordData)]
        if not records:
            raise NotFound(f"`{name}` has no SRV record")
        best = min(data.priority for data, _ in records)
        return [data for data, _ in records if data.priority == best], bounded(min(ttl for _, ttl in records))


class DnsEndpoints:
    """Every address that a name has, at one port; a name such as ``_http._tcp.api.local`` (SRV) brings ports and weights."""

    def __init__(self, names: DnsNames, name: str, port: int, preference: IpPreference | None = None) -> None:
        self._names, self._name, self._port, self._preference = names, name, port, preference

    def __repr__(self) -> str:
        return f"<DnsEndpoints {self._name}:{self._port}>"

    async def find(self) -> Found:
        """Ask for the name. Raises NotFound."""
        if self._name.startswith("_"):
            return await self._find_services()
        addresses, for_s = await self._names.addresses(self._name, self._preference)
        return Found([Place(at_port(address, self._port)) for address in addresses], for_s)

    async def _find_services(self) -> Found:
        services, for_s = await self._names.services(self._name)
        found = await asyncio.gather(
            *(self._names.addresses(each.target, self._preference) for each in services), return_exceptions=True
        )
        places, problems = [], []
        for service, answer in zip(services, found, strict=True):
            if isinstance(answer, BaseException):
                problems.append(answer)
                continue
            # The weight is the service's, however many addresses it has; 0 means: hardly ever.
            weight = max(service.weight, 0.01) / len(answer[0])
            places += [Place(at_port(address, service.port), weight) for address in answer[0]]
            for_s = min(for_s, answer[1])
        if not places:
            raise NotFound(f"`{self._name}`: {'; '.join(map(str, problems))}")
        return Found(_evened(places), for_s)


def at_port(address: str, port: int) -> str:
    """Return ``host:port``; an IPv6 address in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def bounded(for_s: float) -> float:
    """Return a time to live within bounds: nobody is asked all the time, and nothing is believed for ever."""
    return min(max(float(for_s), SHORTEST_S), LONGEST_S)


def _evened(places: Iterable[Place]) -> list[Place]:
    """Return the places by address, with weight 1 when all weigh the same: then they can simply take turns."""
    by_address = sorted({place.address: place for place in places}.values(), key=lambda place: place.address)
    if len({place.weight for place in by_address}) == 1:
        return [Place(place.address) for place in by_address]
    return by_address


def _text(address: str | bytes) -> str:
    return str(ip_address(address.decode() if isinstance(address, bytes) else address))
