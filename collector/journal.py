"""The journal: the one block that is being committed, on disk, so that a crash leaves nothing in doubt."""

import logging
from pathlib import Path
from typing import Self

import msgspec

from storage.telemetry.engine import Signal

log = logging.getLogger(__name__)


class Block(msgspec.Struct, frozen=True):
    """Requests that are committed together, and the token by which the store knows them again.

    ``earlier`` are the digests of requests committed before: their senders may have got no answer and send them again.
    """

    signal: Signal
    token: str
    digests: list[bytes]
    requests: list[bytes]
    earlier: list[bytes] = []

    def halves(self) -> tuple[Self, Self]:
        """Return the block in two parts, always cut in the same place, each with a token of its own."""
        middle = len(self.requests) // 2
        first, second = slice(None, middle), slice(middle, None)
        return (
            type(self)(self.signal, f"{self.token}/0", self.digests[first], self.requests[first]),
            type(self)(self.signal, f"{self.token}/1", self.digests[second], self.requests[second]),
        )


class Journal:
    """Holds the last block of one signal.

    Not synced to the disk: ClickHouse does not sync either, so that both survive the death of the process, not of the machine.
    """

    def __init__(self, directory: Path, signal: Signal) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file = directory / f"{signal}.block"
        self._next = directory / f"{signal}.block.next"

    def __repr__(self) -> str:
        return f"<Journal {self._file}>"

    def write(self, block: Block) -> None:
        """Replace the block; a crash leaves either the old one or the new one."""
        self._next.write_bytes(msgspec.msgpack.encode(block))
        self._next.replace(self._file)

    def read(self) -> Block | None:
        """Return the last block, if there is one; a file that cannot be read is set aside, so that a start never fails by it."""
        try:
            return msgspec.msgpack.decode(self._file.read_bytes(), type=Block)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            aside = self._file.replace(self._file.with_suffix(".unreadable"))
            log.error("the journal held no whole block, as after the death of the machine; it is kept as %s: %s", aside, error)
            return None
