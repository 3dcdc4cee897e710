"""The journal: the one block that is being committed, on disk, so that a crash leaves nothing in doubt."""

from pathlib import Path

import msgspec

from storage.telemetry.engine import Signal


class Block(msgspec.Struct, frozen=True):
    """Requests that are committed together, and the token by which the store knows them again."""

    signal: Signal
    token: str
    digests: list[bytes]
    requests: list[bytes]


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
        """Return the last block, if there is one."""
        return msgspec.msgpack.decode(self._file.read_bytes(), type=Block) if self._file.exists() else None
