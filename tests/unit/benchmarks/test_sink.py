"""The stand-in for ClickHouse that the benchmark's collectors insert into."""

from pathlib import Path

import httpx

from benchmarks.peers.sink import Sink


async def test_inserts_are_kept_as_they_came_and_questions_are_answered_in_native_blocks(tmp_path: Path) -> None:
    sink = Sink(tmp_path / "sink", {"TraceId": "String", "Duration": "UInt64"})
    url = f"http://127.0.0.1:{await sink.start()}/"

    async def chunks():  # type: ignore[no-untyped-def]
        yield b"first,"
        yield b"second"

    async with httpx.AsyncClient() as client:
        described = await client.post(url, content=b"DESCRIBE TABLE otel_traces")
        hello = await client.post(url, content=b"SELECT displayName(), version(), revision(), timezone()")
        query = {"query": "INSERT INTO otel_traces (TraceId) FORMAT RowBinary"}
        whole = await client.post(url, params=query, content=b"rows")
        await client.post(url, params=query, content=chunks())
    await sink.stop()
    assert b"\x04name\x06String\x00\x07TraceId\x08Duration" in described.content
    assert b"\x0arevision()\x06UInt32\x00\xbc\xd4\x00\x00" in hello.content
    assert whole.content == b""
    assert [(tmp_path / f"sink/{number}.RowBinary").read_bytes() for number in (1, 2)] == [b"rows", b"first,second"]
