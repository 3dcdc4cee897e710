"""The same endpoint for the same key: ring hash and Maglev, table for table as Envoy builds them.

The tables hold all members, also those that may not be called now: their keys move on to others, and nobody else's do.
Envoy builds its tables from the healthy ones, so both agree whenever all are healthy.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import ceil

from xxhash import xxh64_intdigest

from mesh_proxy.targets.outlier import Endpoint

MAGLEV_SIZE = 65_537
LOOKS = 64
"""How many other slots of a Maglev table are looked at before any endpoint will do."""
_ALL_BITS = 0xFFFF_FFFF_FFFF_FFFF


def hash_of(value: bytes) -> int:
    """Return the hash of a key; Envoy's."""
    return xxh64_intdigest(value)


class RingHash:
    """A ring of hashes, ``least`` or some more of them; a key belongs to the next hash on the ring."""

    def __init__(self, chance: Callable[[], float], least: int = 1024) -> None:
        self._chance, self._least = chance, least
        self._members: tuple[tuple[str, float], ...] = ()
        self._hashes: list[int] = []
        self._owners: list[Endpoint] = []
        self._admitted: frozenset[Endpoint] = frozenset()

    def admit(self, members: Sequence[Endpoint], admitted: Sequence[Endpoint]) -> None:
        """Take over the endpoints; the ring is built anew only when the members are others."""
        self._admitted = frozenset(admitted)
        now_there = tuple((endpoint.address, endpoint.weight) for endpoint in members)
        if now_there != self._members or set(self._owners) != set(members):
            self._members = now_there
            ring = sorted(self._points(members), key=lambda point: point[0])
            self._hashes, self._owners = [point for point, _ in ring], [owner for _, owner in ring]

    def pick(self, key: int | None, attempt: int, now: float) -> Endpoint:
        """Return the endpoint of the key (without one: of a chance), or the one so many places on."""
        if key is None:
            key = int(self._chance() * _ALL_BITS)
        size = len(self._hashes)
        begin = bisect_left(self._hashes, key) + attempt
        for step in range(size):
            owner = self._owners[(begin + step) % size]
            if owner in self._admitted:
                return owner
        return next(iter(self._admitted))

    def _points(self, members: Sequence[Endpoint]) -> list[tuple[int, Endpoint]]:
        total = sum(endpoint.weight for endpoint in members)
        if not total:
            return []
        shares = [endpoint.weight / total for endpoint in members]
        scale = ceil(min(shares) * self._least) / min(shares)
        points: list[tuple[int, Endpoint]] = []
        wanted = 0.0
        for endpoint, share in zip(members, shares, strict=True):
            wanted += scale * share
            number = 0
            while len(points) < wanted:
                points.append((xxh64_intdigest(f"{endpoint.address}_{number}".encode()), endpoint))
                number += 1
        return points


class Maglev:
    """A table of 65,537 slots in which each endpoint has its share; a key belongs to one slot. Rebuilding takes some 50 ms."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._members: Sequence[Endpoint] = ()
        self._weights: tuple[float, ...] = ()
        self._table = array("H")
        self._admitted: frozenset[Endpoint] = frozenset()

    @property
    def table(self) -> list[str]:
        """The address of each slot."""
        return [self._members[owner].address for owner in self._table]

    def admit(self, members: Sequence[Endpoint], admitted: Sequence[Endpoint]) -> None:
        """Take over the endpoints; the table is built anew only when the members are others."""
        self._admitted = frozenset(admitted)
        weights = tuple(endpoint.weight for endpoint in members)
        if list(self._members) != list(members) or weights != self._weights:
            self._members, self._weights = tuple(members), weights
            self._table = _maglev_table([endpoint.address for endpoint in members], [each / sum(weights) for each in weights])

    def pick(self, key: int | None, attempt: int, now: float) -> Endpoint:
        """Return the endpoint of the key (without one: of a chance); each further attempt looks at another slot, as Envoy's."""
        if key is None:
            key = int(self._chance() * _ALL_BITS)
        for look in range(attempt, attempt + LOOKS):
            slot = key ^ (_ALL_BITS - look + 1) if look else key
            owner = self._members[self._table[slot % MAGLEV_SIZE]]
            if owner in self._admitted:
                return owner
        admitted = [endpoint for endpoint in self._members if endpoint in self._admitted]
        return admitted[key % len(admitted)]


def _maglev_table(addresses: Sequence[str], weights: Sequence[float]) -> "array[int]":
    """Return which endpoint (by number) has each slot: the Maglev paper's listing 1, with Envoy's hashes and weights."""
    free = 0xFFFF
    table = array("H", [free]) * MAGLEV_SIZE
    if not addresses:
        return table
    slots = [xxh64_intdigest(address.encode()) % MAGLEV_SIZE for address in addresses]
    skips = [xxh64_intdigest(address.encode(), 1) % (MAGLEV_SIZE - 1) + 1 for address in addresses]
    most = max(weights)
    targets = [0.0] * len(addresses)
    filled = turn = 0
    while filled < MAGLEV_SIZE:
        turn += 1
        for number, weight in enumerate(weights):
            if turn * weight < targets[number] or filled == MAGLEV_SIZE:
                continue  # an endpoint of half the highest weight takes a slot every other turn
            targets[number] += most
            slot, skip = slots[number], skips[number]
            while table[slot] != free:
                slot += skip
                if slot >= MAGLEV_SIZE:
                    slot -= MAGLEV_SIZE
            table[slot] = number
            slots[number] = slot
            filled += 1
    return table
