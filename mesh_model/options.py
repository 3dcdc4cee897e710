"""Settings of a resource that App Mesh has no field for: its ``meshscope/...`` tags."""

from collections.abc import Iterator, Mapping

TAG_PREFIX = "meshscope/"


class Options(Mapping[str, str]):
    """The tags ``meshscope/<word>`` of a resource by their word; immutable and hashable, so that a target can be compared."""

    __slots__ = ("_values",)

    def __init__(self, tags: Mapping[str, str] | None = None) -> None:
        found = {key.removeprefix(TAG_PREFIX): value for key, value in (tags or {}).items() if key.startswith(TAG_PREFIX)}
        self._values = dict(sorted(found.items()))

    def __getitem__(self, word: str) -> str:
        return self._values[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def under(self, nearer: "Options") -> "Options":
        """Return these with those of a ``nearer`` resource over them."""
        both = Options()
        both._values = dict(sorted((self._values | nearer._values).items()))
        return both

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        return f"Options({self._values})"


NO_OPTIONS = Options()
