"""A telemetry engine that remembers blocks instead of storing them."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from storage.telemetry.engine import BadBlock, Signal, StoreUnavailable


class RememberingEngine:
    """Keeps each token's block once; can be made slow, away, or unable to read some bytes."""

    def __init__(self, *, poison: bytes | None = None) -> None:
        self.blocks: dict[str, list[bytes]] = {}
        self.attempts: list[str] = []
        self.away = 0
        self.poison = poison
        self.open = threading.Event()
        self.open.set()

    def insert(self, signal: Signal, requests: Sequence[bytes], token: str) -> None:
        self.open.wait(10)
        self.attempts.append(token)
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        if self.poison and any(self.poison in request for request in requests):
            raise BadBlock("poison")
        self.blocks.setdefault(token, list(requests))

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return []

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        pass

    def close(self) -> None:
        pass
