"""The telemetry engine on clickhouse-connect: chDB, which is ClickHouse inside this process."""

import fcntl
import os
import queue
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from storage.telemetry.engine import BadBlock, DataDirUnusable, Signal, StoreInUse, StoreUnavailable
from storage.telemetry.landing import INSERT_SETTINGS, LANDINGS, OTLP_PROTO

DATABASE = "meshscope"

# ClickHouse's own codes for bytes that it cannot read as what they claim to be:
# CANNOT_PARSE_*, BAD_ARGUMENTS (two members of one oneof), INCORRECT_DATA, TOO_LARGE_STRING_SIZE, PROTOBUF_BAD_CAST,
# UNKNOWN_PROTOBUF_FORMAT. What is missing here is tried again for ever, and nothing else is stored meanwhile.
_BYTES_AT_FAULT = tuple(f"Code: {code}." for code in (6, 27, 32, 33, 36, 117, 131, 436, 444))


class ClickHouseEngine:
    """One writer and a few readers on one embedded store; use ``open_embedded``."""

    def __init__(self, path: Path, lock: IO[str], *, readers: int = 3, max_threads: int = 2) -> None:
        self._path, self._lock = path, lock
        # As a file: a schema given as text is cached by ClickHouse in whatever directory the process stands in.
        self._proto = path.absolute() / "otlp.proto"
        self._proto.write_text(OTLP_PROTO)
        self._writer = self._connect(max_threads)
        self._writer.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        self._writer.database = DATABASE
        # A handle runs one query at a time, so that each reader that may run at once needs its own.
        self._readers: queue.LifoQueue[Client] = queue.LifoQueue()
        self._clients = [self._writer]
        for _ in range(readers):
            reader = self._connect(max_threads, database=DATABASE)
            self._clients.append(reader)
            self._readers.put(reader)

    def __repr__(self) -> str:
        return f"<ClickHouseEngine {self._path} readers_idle={self._readers.qsize()}/{len(self._clients) - 1}>"

    def insert(self, signal: Signal, block: bytes, token: str) -> None:
        """Insert length-delimited OTLP requests (see Engine.insert)."""
        landing = LANDINGS[signal]
        settings = INSERT_SETTINGS | {
            "format_schema": str(self._proto),
            "format_schema_message_name": landing.message,
            "insert_deduplication_token": token,
        }
        with _faults(inserting=True):
            self._writer.raw_insert(landing.table, [landing.column], block, settings=settings, fmt="Protobuf")

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer a question (see Engine.query)."""
        reader = self._readers.get()
        try:
            with _faults():
                return list(reader.query(sql, parameters=dict(parameters), tz_mode="aware").named_results())
        finally:
            self._readers.put(reader)

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement (see Engine.command)."""
        with _faults():
            self._writer.command(sql, parameters=dict(parameters or {}))

    def close(self) -> None:
        """Let go of the store and of its directory."""
        for client in self._clients:
            client.close()
        self._lock.close()

    def _connect(self, max_threads: int, **options: Any) -> Client:
        return clickhouse_connect.get_client(
            interface="chdb",
            path=str(self._path / "clickhouse"),
            settings={"max_threads": max_threads},
            **options,
        )


def open_embedded(data_dir: Path) -> ClickHouseEngine:
    """Open, or create, the store in ``data_dir``; raise DataDirUnusable, or StoreInUse when another process has it.

    The operating system drops the lock with the process that holds it, also after kill -9.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("a+")
    except OSError as error:
        raise DataDirUnusable(
            f"{data_dir} cannot hold the data: {error.strerror}; choose a directory that can be written with --data-dir."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise StoreInUse(
            f"{data_dir} is in use by the process with id {owner}; stop that one or choose another directory with --data-dir."
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return ClickHouseEngine(data_dir, lock)


@contextmanager
def _faults(*, inserting: bool = False) -> Iterator[None]:
    """Map clickhouse-connect's errors to ours, at this one boundary."""
    try:
        yield
    except ClickHouseError as error:
        text = str(error)[:500]  # the rest repeats the whole expression
        if inserting and any(code in text for code in _BYTES_AT_FAULT):
            raise BadBlock(f"ClickHouse cannot read the block: {text}") from error
        raise StoreUnavailable(f"ClickHouse refused: {text}") from error
    except OSError as error:  # a block goes through a temporary file
        raise StoreUnavailable(f"the disk refused: {error}") from error
