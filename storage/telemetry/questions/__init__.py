"""Questions to the telemetry store: one SQL file each, values as ``{name:Type}`` parameters."""

import re
from functools import cache
from importlib import resources

_WHEN = re.compile(r"(?P<sql>.*?) +-- when (?P<word>\w+)")


@cache
def question(name: str, *when: str) -> str:
    """Return the SQL of ``<name>.sql``; a line that ends in ``-- when <word>`` stands only if the word is among ``when``.

    What does not matter is left out, for it is planned each time; and so are comments, for the client reads each character.
    """
    lines = resources.files(__package__).joinpath(f"{name}.sql").read_text("utf-8").splitlines()
    return "\n".join(sql for line in lines if (sql := _standing(line.strip(), when)))


def _standing(line: str, when: tuple[str, ...]) -> str:
    if found := _WHEN.fullmatch(line):
        return found["sql"] if found["word"] in when else ""
    return "" if line.startswith("--") else line
