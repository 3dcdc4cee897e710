"""Opens the state database: SQLite by default, PostgreSQL by URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.faults import Fault

BEGIN_MODE = "meshscope_begin_mode"  # an execution option: how a SQLite transaction begins


class StateUnavailable(Fault):
    """The state database did not answer; the same call may succeed later."""

    code: ClassVar[str] = "state_unavailable"
    retryable: ClassVar[bool] = True


class StateUrlInvalid(Fault):
    """The URL of the state database cannot be used."""

    code: ClassVar[str] = "state_url_invalid"


class _SqliteConnection(Protocol):
    isolation_level: str | None

    def cursor(self) -> Any: ...


def open_database(url: str) -> AsyncEngine:
    """Return an engine for ``url``; it connects when it is first used and is closed with ``await engine.dispose()``.

    ``sqlite+aiosqlite:///state.db`` or ``postgresql+asyncpg://...``. Raises StateUrlInvalid; the message never shows a password.
    """
    try:
        parsed = make_url(url)
        engine = create_async_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise StateUrlInvalid(
            "The URL of the state database cannot be used; expected for example sqlite+aiosqlite:///state.db"
            f" or postgresql+asyncpg://user@host/name ({type(error).__name__})."
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def answering() -> Iterator[None]:
    """Turn errors of the database library into StateUnavailable; the statement's values are left out."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise StateUnavailable(f"The state database did not answer: {type(cause).__name__}: {cause}") from error


def _prepare_sqlite(connection: _SqliteConnection, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin by itself: it leaves DDL outside of transactions
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 5000", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get(BEGIN_MODE, "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
