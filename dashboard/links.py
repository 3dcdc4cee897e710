"""The URL as the state of a page: reading it and writing links."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

RANGES = ("5m", "15m", "1h", "6h", "24h")
DEFAULT_RANGE = "15m"
STEPS: Mapping[str, str] = {"5m": "10s", "15m": "10s", "1h": "30s", "6h": "180s", "24h": "720s"}
LONGEST_VALUE = 512
Params = Mapping[str, str]


def params_of(search: str | None) -> dict[str, str]:
    """Return the parameters of a query string; of a repeated one the last, too long ones cut."""
    pairs = parse_qsl((search or "").lstrip("?"), keep_blank_values=False, max_num_fields=None)
    return {name: value[:LONGEST_VALUE] for name, value in pairs[:50]}


def since_of(params: Params) -> str:
    """Return the time range asked for, or the default one."""
    wanted = params.get("since", "")
    return wanted if wanted in RANGES else DEFAULT_RANGE


def step_of(since: str) -> str:
    """Return the step that gives a chart about a hundred points over ``since``."""
    return STEPS.get(since, "10s")


def href(path: str, params: Params | None = None, /, **changes: str) -> str:
    """Return a link to ``path`` with ``params`` and ``changes``; an empty value leaves its parameter out."""
    merged = {**(params or {}), **changes}
    query = urlencode({name: value for name, value in merged.items() if value})
    return f"{path}?{query}" if query else path


def carried(params: Params) -> dict[str, str]:
    """Return what a link to another page takes along: the time range."""
    return {"since": params["since"]} if params.get("since") in RANGES else {}
