"""Which requests a match takes and which it leaves: one table for our checks, our proxy and the real Envoy."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: its target, its headers, its method."""

    target: str
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    port: str = ""

    def raw(self, host: str) -> bytes:
        """Return the request as it goes over the wire."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return f"{self.method} {self.target} HTTP/1.1\r\nHost: {host}{self.port}\r\n{lines}\r\n".encode("latin-1")


@dataclass(frozen=True, slots=True)
class Case:
    """A match in App Mesh's words, with requests it takes and requests it leaves. ``envoy``: Envoy has the same words."""

    name: str
    match: dict[str, Any]
    takes: tuple[Ask, ...]
    leaves: tuple[Ask, ...]
    kind: str = "httpRoute"
    envoy: bool = True

    @property
    def host(self) -> str:
        """Return the name of the virtual service in front of the route."""
        return f"{self.name}.local"


def at(target: str, method: str = "GET", port: str = "", **headers: str) -> Ask:
    """Return a request; header names are written with underscores."""
    return Ask(target, tuple((name.replace("_", "-"), value) for name, value in headers.items()), method, port)


def asks(*values: str | None) -> tuple[Ask, ...]:
    """Return requests that differ in the header x-it; None: it is not there."""
    return tuple(at("/") if value is None else at("/", x_it=value) for value in values)


def header(how: dict[str, Any] | None, *, invert: bool = False) -> dict[str, Any]:
    """Return a match of the header x-it."""
    wanted: dict[str, Any] = {"name": "X-It"}
    if how is not None:
        wanted["match"] = how
    if invert:
        wanted["invert"] = True
    return {"prefix": "/", "headers": [wanted]}


def query(name: str, exact: str | None = None) -> dict[str, Any]:
    """Return a match of a query parameter."""
    return {"prefix": "/", "queryParameters": [{"name": name} | ({"match": {"exact": exact}} if exact is not None else {})]}


TWICE = Ask("/", (("x-it", "a"), ("X-It", "b")))
GRPC = {"content_type": "application/grpc"}
PROTO = {"content_type": "application/grpc+proto"}
FROM_5_TO_10 = {"range": {"start": 5, "end": 10}}

CASES = (
    Case(
        "prefix",
        {"prefix": "/pay"},
        (at("/pay"), at("/pay/1"), at("/payments"), at("/pay?x=1")),
        (at("/"), at("/Pay"), at("/x/pay")),
    ),
    Case(
        "normalised",
        {"prefix": "/pay"},
        (at("/x/../pay"), at("/./pay"), at("//pay"), at("/x/%2e%2e/pay"), at("/%70ay")),
        (at("/pay/../x"), at("/%2570ay")),
    ),
    Case(
        "exact",
        {"path": {"exact": "/pay/now"}},
        (at("/pay/now"), at("/pay/now?a=b"), at("/pay//now")),
        (at("/pay"), at("/pay/now/"), at("/pay/nowhere")),
    ),
    Case(
        "regex",
        {"path": {"regex": "/pay/[0-9]+"}},
        (at("/pay/17"), at("/pay/1?x")),
        (at("/pay/"), at("/pay/17/x"), at("/v1/pay/17")),
    ),
    Case("regex-any", {"path": {"regex": ".*[.](css|js)"}}, (at("/a/b.css"), at("/.js")), (at("/a.css.map"), at("/css"))),
    Case("method", {"prefix": "/", "method": "DELETE"}, (at("/", "DELETE"),), (at("/"), at("/", "POST"))),
    Case("scheme", {"prefix": "/", "scheme": "http"}, (at("/"),), (), "http2Route"),
    Case("scheme-other", {"prefix": "/", "scheme": "https"}, (), (at("/"),), "http2Route"),
    Case("header-there", header(None), asks("1", ""), asks(None)),
    Case("header-not-there", header(None, invert=True), asks(None), asks("1")),
    Case("header-exact", header({"exact": "blue"}), asks("blue"), asks("Blue", "blues", "", None, "blue,blue")),
    Case("header-not-exact", header({"exact": "blue"}, invert=True), asks("red", "Blue"), asks("blue")),
    Case("header-prefix", header({"prefix": "can"}), asks("canary", "can"), asks("a can", "ca", None)),
    Case("header-not-prefix", header({"prefix": "can"}, invert=True), asks("stable"), asks("canary")),
    Case("header-suffix", header({"suffix": "-beta"}), asks("v2-beta"), asks("v2-beta1", "beta", None)),
    Case("header-not-suffix", header({"suffix": "-beta"}, invert=True), asks("v2"), asks("v2-beta")),
    Case("header-regex", header({"regex": "v[0-9]+"}), asks("v12"), asks("v12a", "av12", "v", None)),
    Case("header-not-regex", header({"regex": "v[0-9]+"}, invert=True), asks("v"), asks("v1")),
    Case("header-range", header(FROM_5_TO_10), asks("5", "9"), asks("4", "10", "5.0", "five", "", None, "0x6")),
    Case("header-not-range", header(FROM_5_TO_10, invert=True), asks("4", "10", "ten"), asks("5", "7")),
    Case("header-range-below-0", header({"range": {"start": -3, "end": 0}}), asks("-3", "-1"), asks("-4", "0", "-")),
    Case("header-not-and-missing", header({"exact": "blue"}, invert=True), (), asks(None)),
    Case("header-twice", header({"exact": "b"}), (TWICE,), asks("a", "a,b")),
    Case("header-twice-apart", header({"regex": "a.*b"}), asks("a,b"), (TWICE,)),
    Case("header-not-twice", header({"exact": "b"}, invert=True), asks("a"), (TWICE,)),
    Case(
        "headers-both",
        {"prefix": "/", "headers": [{"name": "a", "match": {"exact": "1"}}, {"name": "b", "match": {"exact": "2"}}]},
        (at("/", a="1", b="2"),),
        (at("/", a="1"), at("/", b="2"), at("/", a="2", b="1")),
    ),
    Case("header-host", {"prefix": "/", "headers": [{"name": "host", "match": {"prefix": "header-host"}}]}, (at("/"),), ()),
    Case(
        "query",
        query("v", "2"),
        (at("/?v=2"), at("/?a=1&v=2"), at("/?v=2&v=3")),
        (at("/"), at("/?v=3&v=2"), at("/?w=2"), at("/?v")),
    ),
    Case("query-there", query("v"), (at("/?v"), at("/?v="), at("/?a&v=1")), (at("/"), at("/?w"), at("/v"))),
    Case("query-raw", query("v", "a b"), (), (at("/?v=a%20b"), at("/?v=a+b"))),
    Case("port", {"prefix": "/", "port": 8080}, (at("/", port=":8080"),), (at("/"), at("/", port=":80")), envoy=False),
    Case("port-unsaid", {"prefix": "/", "port": 80}, (at("/"), at("/", port=":80")), (at("/", port=":8080"),), envoy=False),
    Case(
        "grpc-method",
        {"serviceName": "shop.v1.Pay", "methodName": "Charge"},
        (at("/shop.v1.Pay/Charge", "POST", **GRPC), at("/shop.v1.Pay/Charge", "POST", **PROTO)),
        (
            at("/shop.v1.Pay/Refund", "POST", **GRPC),
            at("/shop.v1.Pay/Charge", "POST"),
            at("/shop.v1.Pay/Charges", "POST", **GRPC),
        ),
        "grpcRoute",
    ),
    Case(
        "grpc-service",
        {"serviceName": "shop.v1.Pay"},
        (at("/shop.v1.Pay/Charge", "POST", **GRPC), at("/shop.v1.Pay/Refund", "POST", **GRPC)),
        (at("/shop.v1.Payments/Charge", "POST", **GRPC), at("/shop.v1.Pay/Charge", "POST", content_type="application/grpc-web")),
        "grpcRoute",
    ),
    Case("grpc-any", {}, (at("/x.Y/Z", "POST", **GRPC),), (at("/x.Y/Z", "POST"),), "grpcRoute"),
    Case(
        "grpc-metadata",
        {"metadata": [{"name": "tenant", "match": {"exact": "blue"}}]},
        (at("/x.Y/Z", "POST", tenant="blue", **GRPC),),
        (at("/x.Y/Z", "POST", tenant="red", **GRPC), at("/x.Y/Z", "POST", **GRPC)),
        "grpcRoute",
    ),
)
