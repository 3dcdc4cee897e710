"""What a telemetry engine promises: ClickHouse, in this process or on a server."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

from core.faults import Fault

Signal = Literal["traces", "logs", "metrics"]


class StoreUnavailable(Fault):
    """The store cannot answer now; the same call may succeed later."""

    code = "store_unavailable"
    retryable = True


class StoreRefusesUs(StoreUnavailable):
    """The store does not let us in, or we do not trust it: what it was told of us, or we of it, is wrong."""

    code = "store_refuses_us"
    retryable = False


class StoreInUse(Fault):
    """Another process owns the data directory."""

    code = "store_in_use"


class DataDirUnusable(Fault):
    """The data directory is missing, not a directory, or cannot be written."""

    code = "data_dir_unusable"


class BadBlock(Fault):
    """The store could not read a block of telemetry; sending it again will not help."""

    code = "bad_block"


class Session(Protocol):
    """Statements one after the other; temporary tables last until it ends."""

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that answers nothing."""
        ...


class Engine(Protocol):
    """A ClickHouse that stores telemetry and answers questions.

    Synchronous and safe to call from several threads; call it through ``asyncio.to_thread``. What it raises is a
    StoreUnavailable, unless a method says otherwise.
    """

    @property
    def nodes(self) -> "Sequence[Engine]":
        """Return an engine for each machine that the store stands on: what concerns tables and disks is said to each.

        A store on one machine is its own only node.
        """
        ...

    def insert(self, signal: Signal, requests: Sequence[bytes], token: str) -> None:
        """Insert OTLP requests as one block; on return they and all that follows from them are committed.

        Idempotent: the same requests with the same token adds nothing, as long as the token is among the last thousand.
        Raises BadBlock when the bytes are at fault, else StoreUnavailable.
        """
        ...

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer a question, a dict for each row; values enter the SQL as ``{name:Type}`` parameters only."""
        ...

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that answers nothing."""
        ...

    def session(self) -> AbstractContextManager[Session]:
        """Return what runs statements that share temporary tables; whatever it runs, inserts and questions do not wait for it."""
        ...

    def close(self) -> None:
        """Let go of the store; what was inserted stays."""
        ...
