"""What a bus promises: between the doors and the store, whole OTLP requests, durable and once."""

from typing import Protocol

from storage.telemetry.engine import Signal


class Bus(Protocol):
    """Carries whole OTLP requests to the store."""

    async def publish(self, signal: Signal, request: bytes, copied: int = 0) -> None:
        """Take one request; on return it is durable and will be stored once.

        ``copied`` are the bytes of what its rows share, once for each row: storing it takes as much memory besides.
        Raises Busy when there is no room now, Malformed when the store cannot read the request. A request with the very
        bytes of a recent one is taken to be that one, sent again: it is not stored twice.
        """
        ...

    async def close(self) -> None:
        """Store what was taken, then stop."""
        ...
