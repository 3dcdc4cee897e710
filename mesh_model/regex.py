"""Regular expressions as Envoy and App Mesh mean them: RE2, whose time grows with the text and never explodes."""

from typing import Protocol, cast


class Pattern(Protocol):
    """A compiled expression."""

    def fullmatch(self, text: bytes) -> object:
        """Return something true when the whole of ``text`` matches."""
        ...


def problem(pattern: str) -> str:
    """Return what is wrong with ``pattern``; empty when it can be used."""
    import re2  # noqa: PLC0415 - it weighs 3 MB in a process, and most meshes have no regular expression

    try:
        compiled(pattern)
    except re2.error as error:
        said = error.args[0] if error.args else "it does not compile"
        return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return ""


def compiled(pattern: str) -> Pattern:
    """Return what ``pattern`` compiles to. Raises re2.error."""
    import re2  # noqa: PLC0415 - as above

    options = re2.Options()
    options.log_errors = False  # a wrong pattern is told by an error; on stderr it would be told twice
    return cast("Pattern", re2.compile(pattern, options))
