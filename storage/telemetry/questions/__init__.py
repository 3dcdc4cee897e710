"""Questions to the telemetry store: one SQL file each, values as ``{name:Type}`` parameters."""

from functools import cache
from importlib import resources


@cache
def question(name: str) -> str:
    """Return the SQL of ``<name>.sql`` without its comments: the client reads each character, each time it asks."""
    lines = resources.files(__package__).joinpath(f"{name}.sql").read_text("utf-8").splitlines()
    return "\n".join(line.strip() for line in lines if not line.lstrip().startswith("--"))
