"""TLS as a transport, between two of our own ends on a real socket."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from mesh_model.tls import Certificate, FileCertificate, FileTrust, ListenerTls, Origination
from mesh_proxy.tls.ends import ClientEnd
from mesh_proxy.tls.keyring import Keyring
from mesh_proxy.tls.wire import TlsConnection
from tests.fakes.certificates import Authority

NAME = "api.local"


class Told(asyncio.Protocol):
    """Gathers what it is told; once the other has ended its direction, it answers with ``answer`` and closes."""

    def __init__(self, answer: bytes = b"") -> None:
        self.received, self.answer = b"", answer
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool:
        self.ended.set()
        if self.answer:
            self.transport.write(self.answer)
            self.transport.close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


class Ends:
    """A listening server, and the end of its clients."""

    def __init__(self, folder: Path, answer: bytes = b"") -> None:
        authority = Authority(folder)
        pair = authority.sign(NAME)
        certificate: Certificate = FileCertificate(str(pair.chain), str(pair.key))
        keyring = Keyring()
        self.refused: Counter[str] = Counter()
        self.server_end = keyring.server(ListenerTls("STRICT", certificate), self.refused)
        self.client_end: ClientEnd = keyring.client(Origination(None, FileTrust(str(authority.path)), (NAME,), NAME), "http")
        self.served: list[Told] = []
        self._answer = answer

    def accept(self) -> TlsConnection:
        return TlsConnection(self.server_end, self._serve, lambda *_: None)

    def _serve(self, alpn: str | None) -> Told:
        assert alpn == "http/1.1"
        self.served.append(Told(self._answer))
        return self.served[-1]


@pytest.mark.parametrize("size", [1, 16_384, 16_385, 3_000_000])
async def test_one_direction_ends_before_the_other(tmp_path: Path, size: int) -> None:
    ends = Ends(tmp_path, answer=b"a" * size)
    server = await asyncio.get_running_loop().create_server(ends.accept, "127.0.0.1", 0)
    client = await ends.client_end.connect("127.0.0.1", server.sockets[0].getsockname()[1], lambda _: Told())
    client.transport.write(b"q" * size)
    assert client.transport.can_write_eof()
    client.transport.write_eof()
    client.transport.write(b"too late")
    async with asyncio.timeout(60):
        await client.ended.wait()
        client.transport.close()
        assert await client.lost is None
        assert await ends.served[0].lost is None
    assert (ends.served[0].received, client.received) == (b"q" * size, b"a" * size)
    assert (ends.refused, ends.client_end.refused) == ({}, {})
    server.close()


async def test_an_end_that_nobody_said_is_told_as_an_error(tmp_path: Path) -> None:
    ends = Ends(tmp_path)
    server = await asyncio.get_running_loop().create_server(ends.accept, "127.0.0.1", 0)
    client = await ends.client_end.connect("127.0.0.1", server.sockets[0].getsockname()[1], lambda _: Told())
    client.transport.get_extra_info("socket").shutdown(1)
    async with asyncio.timeout(60):
        while not ends.served:  # noqa: ASYNC110 - sockets set no event for us
            await asyncio.sleep(0.005)
        assert isinstance(await ends.served[0].lost, ConnectionResetError)
    client.transport.abort()
    server.close()
