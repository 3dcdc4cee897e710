"""The telemetry engine on clickhouse-connect: chDB, which is ClickHouse inside this process, or a server over HTTP."""

import fcntl
import os
import queue
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error
from clickhouse_connect.driver.httputil import get_pool_manager

from storage.telemetry.engine import (
    BadBlock,
    DataDirUnusable,
    Engine,
    Session,
    Signal,
    StoreInUse,
    StoreRefusesUs,
    StoreUnavailable,
)
from storage.telemetry.landing import FORMAT, INSERT_SETTINGS, LANDINGS, OTLP_PROTO, as_block
from storage.telemetry.server import Server

DATABASE = "meshscope"
READERS = 3
_WRITERS = 3  # traces, logs and metrics may be on their way at once
_CONNECT_S = 5

# ClickHouse's own codes for bytes that it cannot read as what they claim to be:
# CANNOT_PARSE_*, BAD_ARGUMENTS (two members of one oneof), INCORRECT_DATA, TOO_LARGE_STRING_SIZE, PROTOBUF_BAD_CAST,
# UNKNOWN_PROTOBUF_FORMAT. What is missing here is tried again for ever, and nothing else is stored meanwhile.
_BYTES_AT_FAULT = frozenset({6, 27, 32, 33, 36, 117, 131, 436, 444})
# UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, ACCESS_DENIED, AUTHENTICATION_FAILED.
_NOT_LET_IN = frozenset({192, 193, 194, 497, 516})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Handles:
    """What an engine asks through: one for inserts, one for commands, some for questions; ``session`` makes one for a session.

    Embedded, a handle runs one statement at a time: what is inserted must not wait for anything else.
    """

    inserts: Client
    commands: Client
    readers: Sequence[Client]
    session: Callable[[], Client]


class ClickHouseEngine:
    """A few handles on one ClickHouse; use ``open_embedded`` or ``open_server``.

    ``schema`` are the settings that name the protobuf schema of what is inserted, ``let_go`` is called last of all.
    """

    def __init__(self, where: str, handles: Handles, schema: Mapping[str, str], let_go: Callable[[], None]) -> None:
        self._where, self._handles, self._schema, self._let_go = where, handles, dict(schema), let_go
        readers = handles.readers
        self._clients = list({id(client): client for client in (handles.inserts, handles.commands, *readers)}.values())
        self._readers: queue.LifoQueue[Client] = queue.LifoQueue()
        for reader in readers:
            self._readers.put(reader)

    def __repr__(self) -> str:
        return f"<ClickHouseEngine {self._where} readers_idle={self._readers.qsize()}>"

    @property
    def nodes(self) -> Sequence[Engine]:
        """Return this engine: it stands on one machine."""
        return (self,)

    def insert(self, signal: Signal, requests: Sequence[bytes], token: str) -> None:
        """Insert OTLP requests as one block (see Engine.insert)."""
        landing = LANDINGS[signal]
        settings = INSERT_SETTINGS | self._schema
        settings |= {"format_schema_message_name": landing.message, "insert_deduplication_token": token}
        with _faults(self._where, inserting=True):
            self._handles.inserts.raw_insert(landing.table, landing.columns, as_block(requests), settings=settings, fmt=FORMAT)

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer a question (see Engine.query)."""
        reader = self._readers.get()
        try:
            with _faults(self._where):
                return list(reader.query(sql, parameters=dict(parameters), tz_mode="aware").named_results())
        finally:
            self._readers.put(reader)

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement (see Engine.command)."""
        _Session(self._where, self._handles.commands).command(sql, parameters)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Begin a session (see Engine.session)."""
        with _faults(self._where):
            client = self._handles.session()
        try:
            yield _Session(self._where, client)
        finally:
            client.close()

    def close(self) -> None:
        """Let go of the store: of its directory, or of its connections."""
        for client in self._clients:
            client.close()
        self._let_go()


@dataclass(frozen=True, slots=True)
class _Session:
    """The statements that go through one handle."""

    where: str
    client: Client

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement (see Session.command)."""
        with _faults(self.where):
            self.client.command(sql, parameters=dict(parameters or {}))


def own(data_dir: Path) -> IO[str]:
    """Make the directory ours until what is returned is closed; raise DataDirUnusable, or StoreInUse when another process has it.

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
    return lock


def open_embedded(data_dir: Path, *, max_threads: int = 2) -> ClickHouseEngine:
    """Open, or create, the store in ``data_dir``, which is ours then (see ``own``)."""
    lock = own(data_dir)

    def connect(**options: Any) -> Client:
        path = str(data_dir / "clickhouse")
        return clickhouse_connect.get_client(interface="chdb", path=path, settings={"max_threads": max_threads}, **options)

    # As a file: a schema given as text is cached by ClickHouse in whatever directory the process stands in.
    proto = data_dir.absolute() / "otlp.proto"
    proto.write_text(OTLP_PROTO)
    commands = connect()
    commands.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    commands.database = DATABASE
    connect_to_ours = partial(connect, database=DATABASE)
    handles = Handles(connect_to_ours(), commands, [connect_to_ours() for _ in range(READERS)], connect_to_ours)
    return ClickHouseEngine(str(data_dir), handles, {"format_schema": str(proto)}, lock.close)


def open_server(server: Server, *, settings: Mapping[str, Any] | None = None) -> ClickHouseEngine:
    """Reach the server and make its database, if it has none; raise StoreUnavailable or StoreRefusesUs.

    ``settings`` are ClickHouse's own, sent with whatever is asked.
    """
    if not _NAME.fullmatch(server.database):
        raise StoreRefusesUs(f"{server.database!r} is no name for a database; expected letters, digits and underscores")
    pool = get_pool_manager(
        maxsize=READERS + _WRITERS,
        block=True,
        verify=server.verify,
        ca_cert=str(server.ca_file) if server.ca_file else None,
        client_cert=str(server.cert_file) if server.cert_file else None,
        client_cert_key=str(server.key_file) if server.key_file else None,
    )

    def connect(**options: Any) -> Client:
        return clickhouse_connect.get_client(
            interface="https" if server.tls else "http",
            host=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            verify=server.verify,
            client_cert=str(server.cert_file) if server.cert_file else None,
            tls_mode="strict" if server.password else None,
            pool_mgr=pool,
            connect_timeout=_CONNECT_S,
            send_receive_timeout=server.answer_s,
            settings=dict(settings or {}),
            # Within a session only one query may run at a time.
            autogenerate_session_id=False,
            **options,
        )

    with _faults(server.where):
        client = connect()
        # Only who may create databases is asked to.
        known = client.query("SELECT name FROM system.databases WHERE name = {name:String}", {"name": server.database})
        if not known.result_rows:
            client.command(f"CREATE DATABASE IF NOT EXISTS {server.database}")
        client.database = server.database
    # Connections are the pool's: one client serves all threads, and as many questions may be asked at once as embedded.
    schema = {"format_schema_source": "string", "format_schema": OTLP_PROTO}
    handles = Handles(client, client, [client] * READERS, lambda: connect(database=server.database, session_id=str(uuid4())))
    return ClickHouseEngine(server.where, handles, schema, pool.clear)


@contextmanager
def _faults(where: str, *, inserting: bool = False) -> Iterator[None]:
    """Map clickhouse-connect's errors to ours, at this one boundary."""
    try:
        yield
    except ClickHouseError as error:
        code = error.code if isinstance(error, Error) else None
        text = str(error)[:500]  # the rest repeats the whole expression
        if inserting and code in _BYTES_AT_FAULT:
            raise BadBlock(f"ClickHouse cannot read the block: {text}") from error
        raise _on_the_way(where, code, error, text) from error
    except OSError as error:  # a block goes through a temporary file
        raise StoreUnavailable(f"the disk refused: {error}") from error


def _on_the_way(where: str, code: int | None, error: ClickHouseError, text: str) -> StoreUnavailable:
    """Say what is wrong between us and the server: with who we are, with its certificate, with the network, or with itself."""
    if code in _NOT_LET_IN or "HTTP status 401" in text or "HTTP status 403" in text:
        return StoreRefusesUs(
            f"ClickHouse at {where} does not let us in; check clickhouse_user, clickhouse_password and its rights: {text}"
        )
    if code is not None:
        return StoreUnavailable(f"ClickHouse refused: {text}")
    causes = list(_causes(error))
    names, last = {type(each).__name__ for each in causes}, str(causes[-1])[:300]
    if names & {"SSLError", "SSLCertVerificationError"}:
        return StoreRefusesUs(
            f"ClickHouse at {where} cannot be trusted or does not speak TLS; check clickhouse_url and clickhouse_ca_file: {last}"
        )
    if names & {"NewConnectionError", "ConnectTimeoutError", "NameResolutionError"}:
        return StoreUnavailable(f"ClickHouse at {where} does not answer; is it running, and is clickhouse_url right? {last}")
    if "ReadTimeoutError" in names:
        return StoreUnavailable(f"ClickHouse at {where} does not answer in time; it may be overloaded: {last}")
    return StoreUnavailable(f"ClickHouse at {where} broke off: {last}" if len(causes) > 1 else f"ClickHouse refused: {text}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Return the error, then what it came from, down to the first; the HTTP library wraps it more than once."""
    seen: list[BaseException] = []
    each: object = error
    while isinstance(each, BaseException) and each not in seen:
        seen.append(each)
        yield each
        reason = getattr(each, "reason", None)
        each = reason if isinstance(reason, BaseException) else each.__cause__ or each.__context__
