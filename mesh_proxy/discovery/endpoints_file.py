"""Endpoints in a file that is watched: addresses, each with a weight and a zone where there is something to say.

endpoints:
  - 10.0.0.1:15000
  - {address: "10.0.0.2:15000", weight: 3, zone: eu-west-1a}
"""

import asyncio
from pathlib import Path

from mesh_model.document import Cursor, Problem, open_document
from mesh_proxy.discovery.places import Found, NotFound
from mesh_proxy.targets.outlier import Place

LOOK_S = 1.0
MOST_BYTES = 4 * 1024 * 1024
Stamp = tuple[int, int, int]


class WatchedFile:
    """Reads the file anew whenever it changes. A file that is wrong is an error once; what was read before stays."""

    def __init__(self, path: str, look_s: float = LOOK_S) -> None:
        self._path, self._look_s = Path(path), look_s
        self._read: Stamp | None = None
        self._found: Found | None = None

    def __repr__(self) -> str:
        return f"<WatchedFile {self._path}>"

    async def find(self) -> Found:
        """Look whether the file has changed, and read it if so. Raises NotFound."""
        return await asyncio.to_thread(self._look)

    def _look(self) -> Found:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if self._found is None or stamp != self._read:
                self._found = Found(read_places(self._text(), str(self._path)), self._look_s)
                self._read = stamp
        except (OSError, UnicodeDecodeError) as error:
            raise NotFound(f"the endpoints file {self._path} cannot be read: {error}") from error
        return self._found

    def _text(self) -> str:
        with self._path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise NotFound(f"the endpoints file {self._path} has more than {MOST_BYTES} bytes, expected a list of addresses")
        return content.decode("utf-8")


def read_places(text: str, file_name: str) -> list[Place]:
    """Return the places that ``text`` (YAML or JSON) lists. Raises NotFound with every problem, in line order."""
    problems: list[Problem] = []
    top = open_document(text, problems).fields("endpoints")
    places = [_place(entry) for entry in top.need("endpoints", "a list of addresses").items()]
    if problems:
        lines = sorted(problems, key=lambda problem: problem.line)
        raise NotFound("\n".join(f"{file_name}:{problem.line}: {problem}" for problem in lines))
    return places


def _place(at: Cursor) -> Place:
    address = at.child("address")
    if address is None:
        return Place(_address(at))
    fields = at.fields("address", "weight", "zone")
    weight, zone = fields.get("weight"), fields.get("zone")
    return Place(_address(address), weight.whole(1, 65_535) if weight else 1, zone.text() if zone else "")


def _address(at: Cursor) -> str:
    text = at.text()
    host, colon, port = text.rpartition(":")
    if text and not (host and colon and port.isdecimal() and 0 < int(port) < 65_536):
        at.complain(f"got `{text}`", "an address such as `10.0.0.1:15000`")
    return text
