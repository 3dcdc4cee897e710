"""What a route asks of a request: frozen objects, compiled to checks by whoever routes."""

from dataclasses import dataclass
from typing import Literal

HeaderKind = Literal["present", "exact", "prefix", "suffix", "regex", "range"]


@dataclass(frozen=True, slots=True)
class PathMatch:
    """What the path (without its query) must begin with, be, or match as a whole (RE2 syntax)."""

    kind: Literal["prefix", "exact", "regex"]
    text: str


EVERY_PATH = PathMatch("prefix", "/")


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """What one header must be; ``present`` asks for it alone. ``start`` <= number < ``end`` goes with ``range``."""

    name: str
    kind: HeaderKind = "present"
    text: str = ""
    start: int = 0
    end: int = 0
    invert: bool = False


@dataclass(frozen=True, slots=True)
class QueryMatch:
    """What one query parameter must be; None asks for it alone."""

    name: str
    exact: str | None = None


@dataclass(frozen=True, slots=True)
class HostMatch:
    """What the host (without its port, in lower case) must be, or end with."""

    kind: Literal["exact", "suffix"]
    text: str


@dataclass(frozen=True, slots=True)
class Match:
    """Everything a route asks of a request; all of it must hold.

    A gRPC service and method are a path, metadata are headers, and ``grpc`` asks for gRPC's content type.
    ``port`` is the one the caller meant: the original destination's, else the authority's. ``host`` is for gateways."""

    path: PathMatch = EVERY_PATH
    method: str | None = None
    scheme: str | None = None
    headers: tuple[HeaderMatch, ...] = ()
    query: tuple[QueryMatch, ...] = ()
    port: int | None = None
    grpc: bool = False
    host: HostMatch | None = None


EVERYTHING = Match()
