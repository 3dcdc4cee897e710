"""The keys that tokens are signed with, from a file or a URL; what cannot be read leaves the keys as they are."""

import asyncio
import logging
from collections.abc import Hashable
from pathlib import Path
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector

import jwt

from core.faults import Fault
from mesh_proxy.tls.source import stamp_of

LARGEST_SET = 262_144
MOST_KEYS = 32
FETCH_TIMEOUT_S = 5.0
REFRESH_S, AGAIN_S = 300.0, 10.0
"""Seconds between fetches; after a failure, or when a token names a key that is not known, it is the shorter."""

log = logging.getLogger(__name__)


class KeysUnusable(Fault):
    """A key set cannot be used."""

    code = "token_keys_unusable"


class TokenKeys:
    """The keys of one issuer. Call ``second`` every second; a URL is fetched beside the traffic."""

    def __init__(self, place: str) -> None:
        self.place, self.version, self.failures = place, 0, 0
        self._keys: tuple[jwt.PyJWK, ...] = ()
        self._url = place if place.startswith(("http://", "https://")) else None
        self._stamp: Hashable = None
        self._due = 0.0
        self._fetched_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        if self._url is None:
            self._take(self._read())
            self._stamp = stamp_of(Path(place))

    def __repr__(self) -> str:
        return f"<TokenKeys {self.place} {len(self._keys)} keys, {self.failures} failures>"

    def __len__(self) -> int:
        return len(self._keys)

    def called(self, kid: object) -> tuple[jwt.PyJWK, ...]:
        """Return the keys that a token may be signed with: that of its ``kid``, or all if it names none."""
        if kid is None:
            return self._keys
        found = tuple(key for key in self._keys if key.key_id == kid)
        if not found:
            self._due = min(self._due, self._fetched_at + AGAIN_S)  # the issuer may have a new one
        return found

    def second(self, now: float) -> None:
        """Follow the file if it changed, fetch the URL if it is time; ``now`` is a moment of the monotonic clock."""
        if self._url is not None:
            if now >= self._due and self._fetching is None:
                self._due, self._fetched_at = now + REFRESH_S, now
                self._fetching = asyncio.get_running_loop().create_task(self._fetch(self._url))
            return
        stamp = stamp_of(Path(self.place))
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._take(self._read())
            except KeysUnusable as unusable:
                self._failed(unusable)

    def stop(self) -> None:
        """Fetch no more."""
        if self._fetching is not None:
            self._fetching.cancel()

    async def _fetch(self, url: str) -> None:
        try:
            self._take(await asyncio.to_thread(_get, url))
        except (OSError, ValueError, KeysUnusable) as error:
            self._failed(error)
            self._due = self._fetched_at + AGAIN_S
        finally:
            self._fetching = None

    def _read(self) -> bytes:
        try:
            return Path(self.place).read_bytes()
        except OSError as error:
            raise KeysUnusable(
                f"{self.place}: the keys for tokens cannot be read: {error}; expected a JSON web key set"
            ) from error

    def _take(self, content: bytes) -> None:
        try:
            keys = tuple(jwt.PyJWKSet.from_json(content.decode()).keys)
        except (jwt.exceptions.PyJWTError, ValueError, AttributeError, TypeError) as error:
            raise KeysUnusable(f"{self.place}: {error}; expected a JSON web key set") from error
        if len(keys) > MOST_KEYS:
            raise KeysUnusable(f"{self.place}: {len(keys)} keys; expected {MOST_KEYS} at most")
        self._keys = keys
        self.version += 1

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        log.warning("the keys for tokens stay as they were: %s", error)


def _get(url: str) -> bytes:
    """Return what is at an http or https URL, by no proxy. Raises OSError or ValueError."""
    opener = OpenerDirector()
    opener.add_handler(HTTPHandler())
    opener.add_handler(HTTPSHandler())
    with opener.open(url, timeout=FETCH_TIMEOUT_S) as answer:
        if answer.status != 200:
            raise ValueError(f"{url} answered {answer.status}")
        content: bytes = answer.read(LARGEST_SET + 1)
    if len(content) > LARGEST_SET:
        raise ValueError(f"{url} is longer than {LARGEST_SET} bytes")
    return content
