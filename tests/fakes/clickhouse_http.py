"""A small server that speaks ClickHouse's HTTP interface in front of chDB; a process of its own.

It does itself what belongs to HTTP (who may ask, parameters, settings, encodings, status codes); everything else is done by
chDB, that is by ClickHouse: every statement runs there, and every error is its own.

python -m tests.fakes.clickhouse_http DIRECTORY HOST PORT [--user U --password P] [--cert FILE --key FILE] [--config FILE]
"""

import argparse
import base64
import gzip
import json
import os
import re
import ssl
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import chdb
import lz4.frame

# What the HTTP interface takes itself; every other parameter is a setting.
_OWN = frozenset(
    {"query", "database", "user", "password", "query_id", "session_id", "session_timeout", "session_check", "role"}
) | {
    *("default_format", "compress", "decompress", "wait_end_of_query", "client_protocol_version", "buffer_size", "quota_key"),
}
# As ClickHouse answers them: what is wrong with who asks, with the text, with what it names; else 500.
_STATUS = {
    192: 403,
    193: 403,
    194: 401,
    497: 403,
    516: 403,
    60: 404,
    81: 404,
    62: 400,
    27: 400,
    6: 400,
    36: 400,
    47: 404,
    159: 408,
}
_INSERT = re.compile(
    rb"\s*INSERT\s+INTO\s(?P<into>.+?)(?P<settings>\sSETTINGS\s.+?)?\sFORMAT\s+(?P<format>\w+)[ \t]*(?:\r?\n|$)", re.I | re.S
)
_DECODE = {"gzip": gzip.decompress, "deflate": zlib.decompress, "lz4": lz4.frame.decompress, "": bytes, "identity": bytes}


@dataclass(eq=False)
class Refusal(Exception):
    """An error of ClickHouse's, by its code."""

    code: int
    text: str

    @property
    def status(self) -> int:
        return _STATUS.get(self.code, 500)


class Store:
    """One chDB; each request, or session, gets a handle of its own, so that settings and databases do not mix."""

    def __init__(self, directory: Path, config: Path | None) -> None:
        self._directory = directory
        self._path = f"{directory / 'store'}{f'?config-file={config}' if config else ''}"
        self._keep = chdb.connect(self._path)  # the engine stays up between requests
        self._keep.query("SELECT 1")
        self._sessions: dict[str, Any] = {}

    @contextmanager
    def handle(self, database: str, settings: dict[str, str], session: str = "") -> Iterator[Any]:
        handle = self._sessions.pop(session, None) or chdb.connect(self._path)
        try:
            with _refusals():
                if database:
                    handle.query(f"USE `{database}`")
                for name, value in settings.items():
                    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
                    handle.query(f"SET {name} = '{quoted}'")
            yield handle
        finally:
            if session:
                self._sessions[session] = handle
            else:
                handle.close()

    def run(self, handle: Any, sql: bytes, parameters: dict[str, str], default_format: str) -> Any:
        if insert := _INSERT.match(sql):
            return self._insert(handle, insert, sql[insert.end() :])
        with _refusals():
            return handle.query(sql.decode("utf-8", "surrogateescape"), default_format, params=parameters)

    def _insert(self, handle: Any, head: re.Match[bytes], data: bytes) -> Any:
        with tempfile.NamedTemporaryFile(dir=self._directory, suffix=".raw") as file:
            file.write(data)
            file.flush()
            into, settings, fmt = (part.decode() for part in (head["into"], head["settings"] or b"", head["format"]))
            with _refusals():
                return handle.query(f"INSERT INTO {into} FROM INFILE '{file.name}'{settings} FORMAT {fmt}", "TabSeparated")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        text = str(error)
        code = re.search(r"Code: (\d+)", text)
        raise Refusal(int(code[1]) if code else 1002, text[text.find("Code: ") if code else 0 :]) from error


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "FakeClickHouse"

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n", {})
        else:
            self._ask(b"")

    def do_POST(self) -> None:
        self._ask(self._body())

    def _ask(self, body: bytes) -> None:
        told = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        headers = {"X-ClickHouse-Query-Id": told.get("query_id") or str(uuid4()), "X-ClickHouse-Server-Display-Name": "fake"}
        try:
            self._check_who(told)
            encoding = self.headers.get("Content-Encoding", "")
            body = _DECODE[encoding](body)
            sql = b"\n".join(part for part in (told.get("query", "").encode(), body) if part)
            parameters = {name.removeprefix("param_"): value for name, value in told.items() if name.startswith("param_")}
            settings = {name: value for name, value in told.items() if name not in _OWN and not name.startswith("param_")}
            with self.server.store.handle(told.get("database", ""), settings, told.get("session_id", "")) as handle:
                result = self.server.store.run(handle, sql, parameters, told.get("default_format", "TabSeparated"))
                answer, summary = result.bytes() or b"", _summary(result)
                headers["X-ClickHouse-Timezone"] = self.server.timezone
        except Refusal as refusal:
            headers["X-ClickHouse-Exception-Code"] = str(refusal.code)
            return self._answer(refusal.status, refusal.text.encode(), headers)
        headers["X-ClickHouse-Summary"] = json.dumps(summary)
        if answer:
            headers["X-ClickHouse-Format"] = "TabSeparated"
        if told.get("enable_http_compression") == "1" and "lz4" in self.headers.get("Accept-Encoding", ""):
            answer, headers["Content-Encoding"] = lz4.frame.compress(answer), "lz4"
        return self._answer(200, answer, headers)

    def _check_who(self, told: dict[str, str]) -> None:
        user, password = told.get("user", "default"), told.get("password", "")
        if (basic := self.headers.get("Authorization", "")).startswith("Basic "):
            user, _, password = base64.b64decode(basic[6:]).decode().partition(":")
        user = self.headers.get("X-ClickHouse-User", user)
        password = self.headers.get("X-ClickHouse-Key", password)
        if (user, password) != (self.server.user, self.server.password):
            raise Refusal(
                516,
                f"Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, or there is no user with such"
                " name. (AUTHENTICATION_FAILED)",
            )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a test's output is the test's."""


def _summary(result: Any) -> dict[str, str]:
    return {"read_rows": str(result.rows_read()), "read_bytes": str(result.bytes_read()), "written_rows": str(result.rows_read())}


class FakeClickHouse(ThreadingHTTPServer):
    """The server; it answers as many requests at once as are asked."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, store: Store, options: argparse.Namespace) -> None:
        super().__init__((options.host, options.port), Handler)
        self.store, self.user, self.password = store, options.user, options.password
        with store.handle("", {}) as handle:
            self.timezone = handle.query("SELECT timezone()", "TabSeparated").bytes().decode().strip()
        if options.cert:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(options.cert, options.key)
            # The handshake belongs to the connection's own thread.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or does not speak TLS, is no trouble of ours."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--user", default="default")
    parser.add_argument("--password", default="")
    for name in ("cert", "key", "config"):
        parser.add_argument(f"--{name}", type=Path)
    options = parser.parse_args()
    os.chdir(options.directory)  # chDB caches schemas that are given as text where it stands
    server = FakeClickHouse(Store(options.directory, options.config), options)
    threading.Thread(target=server.serve_forever).start()
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
    os._exit(0)


if __name__ == "__main__":
    main()
