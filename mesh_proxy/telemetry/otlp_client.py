"""A light HTTP client that posts OTLP to one collector over one kept connection."""

import asyncio
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import httptools

TIMEOUT_S = 10.0


class Answer(NamedTuple):
    """The collector's answer; ``retry_after_s`` is 0 when it did not say."""

    status: int
    retry_after_s: float = 0.0


class OtlpClient:
    """Posts one body at a time to ``endpoint`` (``http://host:port[/base]`` or https)."""

    def __init__(self, endpoint: str) -> None:
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"{endpoint!r} is no address of a collector; expected something like http://127.0.0.1:4318")
        self._host, self._tls = url.hostname, url.scheme == "https"
        self._port = url.port or (443 if self._tls else 80)
        self._authority, self._base = url.netloc.rpartition("@")[2], url.path.rstrip("/")
        self._connection: _Connection | None = None

    async def post(self, path: str, body: bytes) -> Answer:
        """Return the collector's answer. Raises OSError when there is no connection or no answer (TimeoutError too)."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                connection = self._connection
                if connection is None or connection.closed:
                    connection = self._connection = await self._connect()
                return await connection.exchange(self._head(path, len(body)), body)
        except BaseException:
            self.close()  # whatever was half said must not be finished by the next request
            raise

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._tls or None)
        return connection

    def _head(self, path: str, size: int) -> bytes:
        return (
            f"POST {self._base}{path} HTTP/1.1\r\nhost: {self._authority}\r\n"
            f"content-type: application/x-protobuf\r\ncontent-length: {size}\r\n\r\n"
        ).encode("latin-1")


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.closed = False
        self._answer: asyncio.Future[Answer] | None = None
        self._retry_after = 0.0

    async def exchange(self, head: bytes, body: bytes) -> Answer:
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._retry_after = 0.0
        self._transport.writelines((head, body))
        return await self._answer

    def close(self) -> None:
        self.closed = True
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, AttributeError):
            self._fail(ConnectionResetError("the collector did not answer in HTTP/1.1"))

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after" and value.isdigit():
            self._retry_after = float(value)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(status, self._retry_after))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc if isinstance(exc, OSError) else ConnectionResetError("the collector closed the connection"))

    def _fail(self, error: OSError) -> None:
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self._transport.abort()
