"""Whether a request is what a route asks for: a match compiled to a prefix and, if it asks for more, to small checks.

The semantics are Envoy's: of a repeated header one value is enough (inverted: none may be it), query parameters are compared
as they are sent and the first of a name counts, regular expressions must match as a whole.
"""

from collections.abc import Callable

from mesh_model.matches import HeaderMatch, Match, PathMatch, QueryMatch
from mesh_model.regex import compiled
from mesh_proxy.http.request import RequestHead
from mesh_proxy.routing.rewrites import Rewriter

_APART: dict[bytes, Callable[[RequestHead], bytes | None]] = {
    b"host": lambda head: head.host,
    b":authority": lambda head: head.host,
    b":path": lambda head: head.path,
    b":method": lambda head: head.method,
    b":scheme": lambda head: head.scheme,
    b"traceparent": lambda head: head.traceparent,
    b"tracestate": lambda head: head.tracestate,
    b"content-length": lambda head: head.length,
    b"transfer-encoding": lambda head: b"chunked" if head.chunked else b"",
    b"te": lambda head: b"trailers" if head.trailers else b"",
    b"expect": lambda head: b"100-continue" if head.expects_continue else b"",
}
"""What a head says outside its header lines."""

_DEFAULT_PORTS = {b"http": 80, b"https": 443}
_FARTHEST = 2**63


class Asked:
    """A request while routes look at it; what only some of them ask for is taken apart once, when the first one does."""

    __slots__ = ("_headers", "_path", "_query", "head")

    def __init__(self, head: RequestHead) -> None:
        self.head = head
        self._headers: dict[bytes, list[bytes]] = {}
        self._query: dict[bytes, bytes] | None = None
        self._path: bytes | None = None

    @property
    def path(self) -> bytes:
        """The path without its query."""
        if self._path is None:
            self._path = self.head.path.partition(b"?")[0]
        return self._path

    @property
    def port(self) -> int:
        """The port that the caller meant: the one its connection was for, else the authority's, else the scheme's."""
        head = self.head
        if head.port:
            return head.port
        digits = head.host.rpartition(b":")[2]
        return int(digits) if b":" in head.host and digits.isdigit() else _DEFAULT_PORTS.get(head.scheme, 0)

    def header(self, name: bytes) -> list[bytes]:
        """Return the values of a header (its name in lower case); none when it is not there."""
        values = self._headers.get(name)
        if values is None:
            values = self._headers[name] = _values_of(self.head, name)
        return values

    def parameter(self, name: bytes) -> bytes | None:
        """Return the first value of a query parameter; None when it is not there."""
        if self._query is None:
            pairs = (pair.partition(b"=") for pair in self.head.path.partition(b"?")[2].split(b"&") if pair)
            self._query = {}
            for key, _, value in pairs:
                self._query.setdefault(key, value)
        return self._query.get(name)


Check = Callable[[Asked], bool]


def prefix_of(match: Match) -> bytes:
    """Return what every path that matches begins with: all there is to ask of a plain prefix."""
    return b"/" if match.path.kind == "regex" else match.path.text.encode()


def checks_of(match: Match) -> tuple[Check, ...]:
    """Return what must hold beside the prefix, the cheapest first."""
    found: list[Check] = []
    if match.method is not None:
        found.append(_method(match.method.encode()))
    if match.scheme is not None:
        found.append(_scheme(match.scheme.encode()))
    if match.grpc:
        found.append(_is_grpc)
    if match.port is not None:
        found.append(_port(match.port))
    found.extend(_path(match.path))
    found.extend(map(_header, match.headers))
    found.extend(map(_parameter, match.query))
    return tuple(found)


def behind(rewrite: Rewriter | None, match: Match) -> Check | None:
    """Return whether the request, once rewritten, is what a route behind a gateway asks for; None: it always is."""
    prefix, checks = prefix_of(match), checks_of(match)
    if prefix == b"/" and not checks:
        return None

    def matches(asked: Asked) -> bool:
        after = Asked(rewrite(asked.head)) if rewrite is not None else asked
        return after.head.path.startswith(prefix) and all(check(after) for check in checks)

    return matches


def _method(method: bytes) -> Check:
    return lambda asked: asked.head.method == method


def _scheme(scheme: bytes) -> Check:
    return lambda asked: asked.head.scheme == scheme


def _port(port: int) -> Check:
    return lambda asked: asked.port == port


def _is_grpc(asked: Asked) -> bool:
    return any(kind[:16] == b"application/grpc" and kind[16:17] in (b"", b"+", b";") for kind in asked.header(b"content-type"))


def _path(match: PathMatch) -> list[Check]:
    if match.kind == "prefix":
        return []
    if match.kind == "exact":
        exact = match.text.encode()
        return [lambda asked: asked.path == exact]
    whole = compiled(match.text).fullmatch
    return [lambda asked: whole(asked.path) is not None]


def _parameter(match: QueryMatch) -> Check:
    name = match.name.encode()
    if match.exact is None:
        return lambda asked: asked.parameter(name) is not None
    exact = match.exact.encode()
    return lambda asked: asked.parameter(name) == exact


def _header(match: HeaderMatch) -> Check:
    name, holds, invert = match.name.lower().encode(), _value(match), match.invert
    if match.kind == "present":
        return lambda asked: bool(asked.header(name)) != invert

    def matches(asked: Asked) -> bool:
        values = asked.header(name)
        return bool(values) and any(map(holds, values)) != invert

    return matches


def _value(match: HeaderMatch) -> Callable[[bytes], bool]:
    text, start, end = match.text.encode(), match.start, match.end
    if match.kind == "exact":
        return lambda value: value == text
    if match.kind == "prefix":
        return lambda value: value.startswith(text)
    if match.kind == "suffix":
        return lambda value: value.endswith(text)
    if match.kind == "regex":
        whole = compiled(match.text).fullmatch
        return lambda value: whole(value) is not None
    return lambda value: start <= _number(value) < end


def _number(value: bytes) -> int:
    """Return the whole number that a header says; one beyond every range when it says none."""
    digits = value.lstrip(b"+-")
    if not digits.isdigit() or len(value) > 20 or len(value) - len(digits) > 1:
        return _FARTHEST
    return int(value)


def _values_of(head: RequestHead, name: bytes) -> list[bytes]:
    """Return the values of a header: of those that go on, or of those that the proxy keeps apart."""
    end = len(name)
    found = [line[end + 1 :].strip() for line in head.lines if line[end : end + 1] == b":" and line[:end].lower() == name]
    if not found and (apart := _APART.get(name)) and (value := apart(head)):
        return [value]
    return found
