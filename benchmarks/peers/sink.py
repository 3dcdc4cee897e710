"""Stands in for a ClickHouse server: takes inserts over HTTP and keeps their bytes, for ClickHouse itself to count later."""

import asyncio
import re
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from core.wire import varint

REVISION = 54_460
Columns = dict[str, str]
"""Names and ClickHouse's types."""


class Sink:
    """Answers as a ClickHouse does whose table has ``columns``; writes what is inserted to ``folder``, a file for each insert."""

    def __init__(self, folder: Path, columns: Columns) -> None:
        self._folder, self._columns = folder, columns
        self._inserts = 0
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._answers = {"DESCRIBE": self._describe(), "SELECT": _hello()}

    def __repr__(self) -> str:
        return f"<Sink {self._folder} inserts={self._inserts}>"

    async def start(self) -> int:
        """Listen on a free port of the loopback and return it."""
        self._folder.mkdir(parents=True)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**26)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Listen no more, and let go of who is still connected."""
        self._server.close()
        for connection in self._connections:
            connection.close()
        await asyncio.gather(*filter(None, self._connections.values()))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[writer] = asyncio.current_task()
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                answer = self._answer(head.split(" ", 2)[1], await _body(head.lower(), reader))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
                await writer.drain()
        writer.close()

    def _answer(self, target: str, body: bytes) -> bytes:
        """An insert's SQL stands in the URL, a question's is the body."""
        query = "".join(parse_qs(urlsplit(target).query).get("query", [])) or body[:1000].decode()
        verb = query.split(maxsplit=1)[0].upper()
        if verb != "INSERT":
            return self._answers[verb]
        self._inserts += 1
        form = query.rsplit(maxsplit=1)[-1]
        (self._folder / f"{self._inserts}.{form}").write_bytes(body)
        return b""

    def _describe(self) -> bytes:
        empty = ("default_type", "default_expression", "comment", "codec_expression", "ttl_expression")
        known = {"name": list(self._columns), "type": list(self._columns.values())}
        return _block({**known, **{each: [""] * len(self._columns) for each in empty}})


def _hello() -> bytes:
    """What clickhouse-go asks first: displayName(), version(), revision(), timezone()."""
    return _block({"displayName()": ["sink"], "version()": ["26.9.1.1"], "revision()": [REVISION], "timezone()": ["UTC"]})


def _block(table: Mapping[str, Sequence[str | int]]) -> bytes:
    """Return columns of texts or of UInt32 as a block of ClickHouse's Native format, for a client that names its revision."""
    rows = len(next(iter(table.values())))
    parts = [b"\x01\x00\x02\xff\xff\xff\xff\x00", varint(len(table)), varint(rows)]
    for name, cells in table.items():
        texts = isinstance(cells[0], str)
        parts += [_text(name), _text("String" if texts else "UInt32"), b"\x00"]
        parts += [_text(cell) if isinstance(cell, str) else struct.pack("<I", cell) for cell in cells]
    return b"".join(parts)


def _text(value: str) -> bytes:
    return varint(len(value.encode())) + value.encode()


async def _body(head: str, reader: asyncio.StreamReader) -> bytes:
    if "transfer-encoding: chunked" not in head:
        length = re.search(r"content-length: (\d+)", head)
        return await reader.readexactly(int(length[1]) if length else 0)
    chunks = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(chunks)
