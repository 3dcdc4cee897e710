"""A backend that keeps the raw bytes it gets, and reads them in the only way that is beyond doubt."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.[01]")
_HEADER = re.compile(rb"(" + _NAME + rb"):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(;[\t -~\x80-\xff]*)?")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Doubtful(Exception):
    """Bytes that could be read in more than one way."""


@dataclass(frozen=True)
class Message:
    """A request as the backend read it; header names in lower case."""

    line: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of all headers of that name."""
        return [value for each, value in self.headers if each == name]


def read(raw: bytes) -> tuple[Message | None, bytes]:
    """Return the first message and what comes after it; None when it is not whole. Raises Doubtful."""
    head, whole, rest = raw.partition(b"\r\n\r\n")
    if not whole:
        return None, raw
    line, *lines = head.split(b"\r\n")
    if not _REQUEST_LINE.fullmatch(line):
        raise Doubtful(f"request line {line!r}")
    headers = []
    for each in lines:
        found = _HEADER.fullmatch(each)
        if found is None:
            raise Doubtful(f"header {each!r}")
        headers.append((found[1].lower(), found[2]))
    message = Message(line, tuple(headers), b"")
    lengths, encodings = message.values(b"content-length"), message.values(b"transfer-encoding")
    if len(message.values(b"host")) != 1 or len(lengths) + len(encodings) > 1:
        raise Doubtful(f"{lengths=} {encodings=} hosts={message.values(b'host')}")
    if encodings:
        body, rest = _chunks(rest, encodings[0])
    elif lengths:
        body, rest = _counted(rest, lengths[0])
    else:
        body = b""
    return (None, raw) if body is None else (Message(line, tuple(headers), body), rest)


def _counted(rest: bytes, length: bytes) -> tuple[bytes | None, bytes]:
    if not length.isdigit():
        raise Doubtful(f"Content-Length {length!r}")
    size = int(length)
    return (rest[:size], rest[size:]) if len(rest) >= size else (None, rest)


def _chunks(rest: bytes, encoding: bytes) -> tuple[bytes | None, bytes]:
    if encoding != b"chunked":
        raise Doubtful(f"Transfer-Encoding {encoding!r}")
    body = b""
    while True:
        line, whole, rest = rest.partition(b"\r\n")
        if not whole:
            return None, rest
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            raise Doubtful(f"chunk size {line!r}")
        size = int(found[1], 16)
        if not size:
            return _trailers(body, rest)
        if len(rest) < size + 2:
            return None, rest
        if rest[size : size + 2] != b"\r\n":
            raise Doubtful(f"chunk {rest[: size + 2]!r}")
        body, rest = body + rest[:size], rest[size + 2 :]


def _trailers(body: bytes, rest: bytes) -> tuple[bytes | None, bytes]:
    while True:
        line, whole, rest = rest.partition(b"\r\n")
        if not whole:
            return None, rest
        if not line:
            return body, rest
        if _HEADER.fullmatch(line) is None:
            raise Doubtful(f"trailer {line!r}")


@dataclass
class RawBackend:
    """What came, by connection, and what it was."""

    port: int = 0
    messages: list[Message] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def forget(self) -> None:
        """Start anew."""
        self.messages.clear()
        self.doubts.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer each message that is whole; close at the first doubt."""
        kept = b""
        try:
            while data := await reader.read(65536):
                kept += data
                while True:
                    message, kept = read(kept)
                    if message is None:
                        break
                    self.messages.append(message)
                    writer.write(ANSWER)
        except Doubtful as doubt:
            self.doubts.append(str(doubt))
        except ConnectionError:
            pass
        finally:
            writer.close()


@contextmanager
def raw_backend() -> Iterator[RawBackend]:
    """Run a backend in a thread of its own."""
    backend, loop, ready = RawBackend(), asyncio.new_event_loop(), threading.Event()
    stopping = asyncio.Event()

    async def run() -> None:
        server = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
        backend.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stopping.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield backend
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()
