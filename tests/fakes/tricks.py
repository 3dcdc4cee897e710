"""Requests that are made to be read in two ways: raw bytes by the name of the trick.

``@`` stands for the line end ``\\r\\n``, the byte FF for an at sign. Every trick is a whole message in each of its readings:
what follows it on the connection is never taken for its body by a proxy that only waits for more.
"""

GET = b"GET / HTTP/1.1@Host: api.local@"
POST = b"POST / HTTP/1.1@Host: api.local@"
CHUNKED = b"Transfer-Encoding: chunked@"
EVIL = b"GET /evil HTTP/1.1@Host: api.local@@"


def te(value: bytes, name: bytes = b"Transfer-Encoding") -> bytes:
    """A body that is empty in chunks, under a doubtful Transfer-Encoding."""
    return POST + name + b": " + value + b"@@0@@"


PLAIN: dict[str, bytes] = {
    "get": GET + b"@",
    "length": POST + b"Content-Length: 3@@abc",
    "chunked": POST + CHUNKED + b"@3@abc@0@@",
    "chunk-extension": POST + CHUNKED + b"@3;name=value@abc@0@@",
    "trailer": POST + CHUNKED + b"@3@abc@0@X-Trailer: 1@@",
    "absolute-form": b"GET http://api.local/ HTTP/1.1@Host: api.local@@",
    "absolute-form-other-host": b"GET http://api.local/ HTTP/1.1@Host: evil.local@@",
    "encoded-line-end-in-path": b"GET /a%0d%0aX:%20evil HTTP/1.1@Host: api.local@@",
    "connection-names-length": POST + b"Content-Length: 3@Connection: Content-Length@@abc",
    "connection-names-encoding": POST + CHUNKED + b"Connection: Transfer-Encoding@@3@abc@0@@",
    "upgrade-h2c": GET + b"Connection: Upgrade, HTTP2-Settings@Upgrade: h2c@HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA@@",
    "proxy-connection": GET + b"Proxy-Connection: keep-alive@@",
    "leading-empty-line": b"@" + GET + b"@",
    "host-upper-case": b"GET / HTTP/1.1@HOST: API.LOCAL@@",
    "host-with-port": b"GET / HTTP/1.1@Host: api.local:8080@@",
    "te-upper-case": te(b"CHUNKED"),
}
"""What there is nothing to say against: it is taken, and the backend gets one request that can be read in one way only."""

TRICKS: dict[str, bytes] = {
    # both lengths
    "length-and-chunked": POST + b"Content-Length: 4@" + CHUNKED + b"@0@@" + EVIL,
    "chunked-and-length": POST + CHUNKED + b"Content-Length: 4@@0@@" + EVIL,
    "length-zero-and-chunked": POST + b"Content-Length: 0@" + CHUNKED + b"@0@@",
    # Content-Length
    "length-twice": POST + b"Content-Length: 3@Content-Length: 3@@abc",
    "lengths-differ": POST + b"Content-Length: 0@Content-Length: 44@@" + EVIL,
    "length-list": POST + b"Content-Length: 3, 3@@abc",
    "length-list-differs": POST + b"Content-Length: 0, 44@@" + EVIL,
    "length-plus": POST + b"Content-Length: +3@@abc",
    "length-minus": POST + b"Content-Length: -3@@abc",
    "length-hex": POST + b"Content-Length: 0x3@@abc",
    "length-octal-like": POST + b"Content-Length: 3 0@@abc",
    "length-fraction": POST + b"Content-Length: 3.0@@abc",
    "length-underscore": POST + b"Content-Length: 0_3@@abc",
    "length-empty": POST + b"Content-Length:@@",
    "length-letter": POST + b"Content-Length: 3a@@abc",
    "length-beyond-64-bits": POST + b"Content-Length: 18446744073709551619@@abc",
    "length-space-before-colon": POST + b"Content-Length : 44@@" + EVIL,
    "length-tab-before-colon": POST + b"Content-Length\t: 44@@" + EVIL,
    "length-vertical-tab": POST + b"Content-Length: \x0b3@@abc",
    "length-folded": POST + b"Content-Length:@ 3@@abc",
    "length-non-ascii-digit": POST + "Content-Length: ٣@@abc".encode(),
    # Transfer-Encoding
    "te-unknown": te(b"xchunked"),
    "te-gzip-chunked": te(b"gzip, chunked"),
    "te-chunked-identity": te(b"chunked, identity"),
    "te-chunked-twice": te(b"chunked, chunked"),
    "te-two-lines": POST + CHUNKED + CHUNKED + b"@0@@",
    "te-two-lines-identity": POST + CHUNKED + b"Transfer-Encoding: identity@@0@@",
    "te-quoted": te(b'"chunked"'),
    "te-parameter": te(b"chunked;q=1"),
    "te-space-before-colon": te(b"chunked", b"Transfer-Encoding "),
    "te-tab-before-colon": te(b"chunked", b"Transfer-Encoding\t"),
    "te-vertical-tab": te(b"\x0bchunked"),
    "te-nul": te(b"chunked\x00"),
    "te-bare-cr": te(b"\rchunked"),
    "te-folded": POST + b"Transfer-Encoding:@ chunked@@0@@",
    "te-leading-space": POST + b" Transfer-Encoding: chunked@@0@@",
    "te-empty": te(b""),
    "te-comma-first": te(b", chunked"),
    "te-http-1.0": b"POST / HTTP/1.0@Host: api.local@" + CHUNKED + b"@0@@",
    # chunks
    "chunk-size-no-hex": POST + CHUNKED + b"@zz@abc@0@@",
    "chunk-size-prefix": POST + CHUNKED + b"@0x3@abc@0@@",
    "chunk-size-plus": POST + CHUNKED + b"@+3@abc@0@@",
    "chunk-size-minus": POST + CHUNKED + b"@-3@abc@0@@",
    "chunk-size-underscore": POST + CHUNKED + b"@0_3@abc@0@@",
    "chunk-size-beyond-64-bits": POST + CHUNKED + b"@10000000000000003@abc@0@@",
    "chunk-size-space-before": POST + CHUNKED + b"@ 3@abc@0@@",
    "chunk-size-space-inside": POST + CHUNKED + b"@3 0@abc@0@@",
    "chunk-size-empty": POST + CHUNKED + b"@@abc@0@@",
    "chunk-longer-than-said": POST + CHUNKED + b"@3@abcd@0@@",
    "chunk-ends-with-bare-lf": POST + CHUNKED + b"@3@abc\n0@@",
    "chunk-size-ends-with-bare-lf": POST + CHUNKED + b"@3\nabc@0@@",
    "chunk-size-ends-with-bare-cr": POST + CHUNKED + b"@3\rabc@0@@",
    "chunk-extension-ends-with-bare-lf": POST + CHUNKED + b"@3;a\nabc@0@@",
    "chunk-extension-holds-nul": POST + CHUNKED + b"@3;a\x00@abc@0@@",
    "chunk-extension-holds-bare-cr": POST + CHUNKED + b"@3;a\rb@abc@0@@",
    "trailer-names-length": POST + CHUNKED + b"@3@abc@0@Content-Length: 9@@",
    "trailer-folded": POST + CHUNKED + b"@0@X: a@ b@@",
    "trailer-ends-with-bare-lf": POST + CHUNKED + b"@0@X: a\n@",
    # line ends
    "bare-lf-everywhere": b"GET / HTTP/1.1\nHost: api.local\n\n",
    "bare-lf-after-request-line": b"GET / HTTP/1.1\nHost: api.local@@",
    "bare-lf-after-header": GET + b"X: a\nY: b@@",
    "bare-lf-ends-head": GET + b"X: a@\n",
    "bare-cr-in-value": GET + b"X: a\rY: b@@",
    "bare-cr-after-header": GET + b"X: a\r\rY: b@@",
    "bare-cr-in-request-line": b"GET / HTTP/1.1\rX: y@Host: api.local@@",
    "obs-fold": GET + b"X: a@ b@@",
    "obs-fold-tab": GET + b"X: a@\tb@@",
    "obs-fold-first": b"GET / HTTP/1.1@ X: a@Host: api.local@@",
    # header names and values
    "header-without-colon": GET + b"X@@",
    "header-without-name": GET + b": a@@",
    "header-name-space": GET + b"X Y: a@@",
    "header-name-space-before-colon": GET + b"X : a@@",
    "header-name-nul": GET + b"X\x00Y: a@@",
    "header-name-non-ascii": GET + b"X\xe9: a@@",
    "header-name-brackets": GET + b"X(): a@@",
    "header-value-nul": GET + b"X: a\x00b@@",
    "header-value-delete": GET + b"X: a\x7fb@@",
    "header-value-escape": GET + b"X: a\x1bb@@",
    # the request line
    "method-lower-case": b"get / HTTP/1.1@Host: api.local@@",
    "method-unknown": b"G\xc3\xa9T / HTTP/1.1@Host: api.local@@",
    "method-space-before": b" GET / HTTP/1.1@Host: api.local@@",
    "two-spaces-before-target": b"GET  / HTTP/1.1@Host: api.local@@",
    "two-spaces-before-version": b"GET /  HTTP/1.1@Host: api.local@@",
    "tab-in-request-line": b"GET\t/ HTTP/1.1@Host: api.local@@",
    "space-in-target": b"GET /a b HTTP/1.1@Host: api.local@@",
    "nul-in-target": b"GET /a\x00b HTTP/1.1@Host: api.local@@",
    "encoded-nul-in-path": b"GET /a%00b HTTP/1.1@Host: api.local@@",
    "path-climbs-out": b"GET /a/../../b HTTP/1.1@Host: api.local@@",
    "fragment-in-target": b"GET /a#b HTTP/1.1@Host: api.local@@",
    "no-version": b"GET /@Host: api.local@@",
    "version-0.9": b"GET / HTTP/0.9@Host: api.local@@",
    "version-1.2": b"GET / HTTP/1.2@Host: api.local@@",
    "version-2.0": b"GET / HTTP/2.0@Host: api.local@@",
    "version-lower-case": b"GET / http/1.1@Host: api.local@@",
    "version-long": b"GET / HTTP/1.10@Host: api.local@@",
    "version-padded": b"GET / HTTP/01.1@Host: api.local@@",
    "target-no-path": b"GET nonsense HTTP/1.1@Host: api.local@@",
    "target-other-scheme": b"GET ftp://api.local/ HTTP/1.1@Host: api.local@@",
    "target-userinfo": b"GET http://api.local\xffevil.local/ HTTP/1.1@Host: api.local@@",
    # Host
    "connection-names-host": GET + b"Connection: Host@@",
    "host-missing": b"GET / HTTP/1.1@X: a@@",
    "host-twice": GET + b"Host: evil.local@@",
    "host-twice-same": GET + b"Host: api.local@@",
    "host-list": b"GET / HTTP/1.1@Host: api.local, evil.local@@",
    "host-space": b"GET / HTTP/1.1@Host: api.local evil.local@@",
    "host-path": b"GET / HTTP/1.1@Host: api.local/evil@@",
    "host-nul": b"GET / HTTP/1.1@Host: api.local\x00@@",
    "host-empty": b"GET / HTTP/1.1@Host:@@",
    "host-bad-port": b"GET / HTTP/1.1@Host: api.local:80a@@",
    "host-space-before-colon": b"GET / HTTP/1.1@Host : api.local@@",
    "host-folded": b"GET / HTTP/1.1@Host:@ api.local@@",
    # too much
    "huge-header": GET + b"X: " + b"a" * 70_000 + b"@@",
    "huge-target": b"GET /" + b"a" * 70_000 + b" HTTP/1.1@Host: api.local@@",
    "very-many-headers": GET + b"".join(b"X-%d: a@" % number for number in range(1000)) + b"@",
    "huge-chunk-extension": POST + CHUNKED + b"@3;" + b"a" * 200_000 + b"@abc@0@@",
    "huge-trailers": POST + CHUNKED + b"@0@" + b"".join(b"X-%d: a@" % number for number in range(20_000)) + b"@",
    # other protocols
    "tls": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00@@",
    "nonsense": b"nonsense@@",
}


def raw(trick: bytes) -> bytes:
    """Return the bytes of a trick as they are sent."""
    return trick.replace(b"@", b"\r\n").replace(b"\xff", b"@")
