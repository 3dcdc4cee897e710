"""How is read what a route asks of a request."""

from typing import cast

from mesh_model import regex
from mesh_model.document import Cursor, Fields
from mesh_model.matches import EVERY_PATH, HeaderKind, HeaderMatch, HostMatch, Match, PathMatch, QueryMatch
from mesh_model.reading_values import read_port

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
LONGEST_MATCH, LONGEST_PREFIX, LONGEST_HOST, LONGEST_HEADER = 255, 2048, 253, 50
_FARTHEST = 2**63 - 1


def read_http_match(at: Cursor, *, http2: bool) -> Match:
    """Read the match of an http or http2 route: prefix or path, and what else must hold."""
    fields = at.fields("prefix", "path", "method", "scheme", "headers", "queryParameters", "port")
    which, path = fields.need_one("prefix", "path")
    scheme = fields.get("scheme")
    if scheme and not http2:
        scheme.complain("`scheme` belongs to http2 routes", "an `http2Route`, or no `scheme`")
    return _http_match(fields, _read_prefix(path) if which == "prefix" else _read_path(path), scheme)


def read_gateway_match(at: Cursor) -> Match:
    """Read the match of an http or http2 gateway route: at least one of prefix, path and hostname."""
    fields = at.fields("prefix", "path", "hostname", "method", "headers", "queryParameters", "port")
    prefix, path = fields.get("prefix"), fields.get("path")
    if prefix and path:
        at.complain("got `prefix` and `path`", "at most one of `prefix`, `path`")
    if not (prefix or path or "hostname" in fields):
        at.complain("got none of them", "at least one of `prefix`, `path`, `hostname`")
    asked = _read_prefix(prefix) if prefix else _read_path(path) if path else EVERY_PATH
    return _http_match(fields, asked, None)


def read_grpc_match(at: Cursor) -> Match:
    """Read the match of a grpc route; a service and its method are the path /service/method."""
    fields = at.fields("serviceName", "methodName", "metadata", "port")
    service, method = fields.get("serviceName"), fields.get("methodName")
    if method and not service:
        method.complain("`methodName` stands without `serviceName`", "both, or `serviceName` alone")
    name = method.text(longest=50) if method else ""
    return _grpc_match(fields, service, name)


def read_grpc_gateway_match(at: Cursor) -> Match:
    """Read the match of a grpc gateway route."""
    fields = at.fields("serviceName", "hostname", "metadata", "port")
    if "serviceName" not in fields and "hostname" not in fields:
        at.complain("got none of them", "at least one of `serviceName`, `hostname`")
    return _grpc_match(fields, fields.get("serviceName"), "")


def read_tcp_match(at: Cursor) -> Match:
    """Read the match of a tcp route."""
    port = at.fields("port").get("port")
    return Match(port=read_port(port) if port else None)


def _http_match(fields: Fields, path: PathMatch, scheme: Cursor | None) -> Match:
    method, headers, query = fields.get("method"), fields.get("headers"), fields.get("queryParameters")
    port, host = fields.get("port"), fields.get("hostname")
    return Match(
        path=path,
        method=method.choice(*METHODS) if method else None,
        scheme=scheme.choice("http", "https") if scheme else None,
        headers=_read_headers(headers) if headers else (),
        query=tuple(_read_query(entry) for entry in query.items(least=1, most=10)) if query else (),
        port=read_port(port) if port else None,
        host=_read_host(host) if host else None,
    )


def _grpc_match(fields: Fields, service: Cursor | None, method: str) -> Match:
    metadata, port, host = fields.get("metadata"), fields.get("port"), fields.get("hostname")
    name = service.text() if service else ""
    if service and "/" in name:
        service.complain(f"got `{name}`", "a service's name with its package, such as `shop.v1.Payments`")
    path = PathMatch("exact", f"/{name}/{method}") if method else PathMatch("prefix", f"/{name}/") if name else EVERY_PATH
    return Match(
        path=path,
        headers=_read_headers(metadata) if metadata else (),
        port=read_port(port) if port else None,
        grpc=True,
        host=_read_host(host) if host else None,
    )


def _read_prefix(at: Cursor) -> PathMatch:
    return PathMatch("prefix", read_slashed(at, "a prefix that starts with `/`", longest=LONGEST_PREFIX))


def _read_path(at: Cursor) -> PathMatch:
    kind, inner = at.fields("exact", "regex").need_one("exact", "regex")
    if kind == "regex":
        return PathMatch("regex", _read_regex(inner))
    return PathMatch("exact", read_slashed(inner, "a path that starts with `/`"))


def read_slashed(at: Cursor, expected: str, *, longest: int = LONGEST_MATCH) -> str:
    """Read a text that starts with a slash."""
    text = at.text(longest=longest)
    if text and not text.startswith("/"):
        at.complain(f"got `{text}`", expected)
    return text


def _read_regex(at: Cursor) -> str:
    text = at.text(longest=LONGEST_MATCH)
    wrong = regex.problem(text)
    if wrong:
        at.complain(f"`{text}` is no regular expression: {wrong}", "one in RE2's syntax")
    return text


def _read_headers(at: Cursor) -> tuple[HeaderMatch, ...]:
    return tuple(_read_header(entry) for entry in at.items(least=1, most=10))


def _read_header(at: Cursor) -> HeaderMatch:
    fields = at.fields("name", "match", "invert")
    name = fields.need("name", "the header's name").text(longest=LONGEST_HEADER)
    match, invert_at = fields.get("match"), fields.get("invert")
    invert = invert_at.truth() if invert_at else False
    if match is None:
        return HeaderMatch(name, invert=invert)
    kinds = ("exact", "prefix", "suffix", "regex", "range")
    kind, inner = match.fields(*kinds).need_one(*kinds)
    if kind == "range":
        start, end = _read_range(inner)
        return HeaderMatch(name, "range", start=start, end=end, invert=invert)
    if kind == "regex":
        return HeaderMatch(name, "regex", _read_regex(inner), invert=invert)
    text = inner.text(longest=LONGEST_MATCH)
    return HeaderMatch(name, cast("HeaderKind", kind), text, invert=invert)


def _read_range(at: Cursor) -> tuple[int, int]:
    fields = at.fields("start", "end")
    start = fields.need("start", "a whole number").whole(-_FARTHEST - 1, _FARTHEST)
    end = fields.need("end", "a whole number above `start`").whole(-_FARTHEST - 1, _FARTHEST)
    if "start" in fields and "end" in fields and start >= end:
        at.complain(f"it starts at {start} and ends at {end}", "an end above the start: the start is in it, the end is not")
    return start, end


def _read_query(at: Cursor) -> QueryMatch:
    fields = at.fields("name", "match")
    name, match = fields.need("name", "the parameter's name").text(), fields.get("match")
    exact = match.fields("exact").get("exact") if match else None
    return QueryMatch(name, exact.words() if exact else None)


def _read_host(at: Cursor) -> HostMatch:
    kind, inner = at.fields("exact", "suffix").need_one("exact", "suffix")
    text = inner.text(longest=LONGEST_HOST).lower()
    return HostMatch("exact", text) if kind == "exact" else HostMatch("suffix", text.removeprefix("*"))
