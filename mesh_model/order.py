"""In which order routes are asked: by priority, then the most specific first."""

from mesh_model.matches import Match
from mesh_model.resources import GatewayRoute, Route

_UNSET = 1001
_KIND = {"exact": 0, "prefix": 1, "regex": 2}
Rank = tuple[int, ...]


def rank(route: Route | GatewayRoute) -> Rank:
    """Return what routes are sorted by; equals keep the order in which they were declared.

    Priority 0 comes first and unset last. Then, of a gateway, the nearer host: exact, the longer suffix, any. Then the path:
    exact, then the longer prefix, then regex (whose reach nobody can tell from its length). Then the route that asks for
    more: of two that both hold, the one with more conditions was meant.
    """
    match = route.match
    return (
        _UNSET if route.priority is None else route.priority,
        *_host(match),
        _KIND[match.path.kind],
        0 if match.path.kind == "regex" else -len(match.path.text),
        -_conditions(match),
    )


def _host(match: Match) -> tuple[int, int]:
    if match.host is None:
        return (2, 0)
    return (0, 0) if match.host.kind == "exact" else (1, -len(match.host.text))


def _conditions(match: Match) -> int:
    return (
        len(match.headers) + len(match.query) + sum((match.method is not None, match.scheme is not None, match.port is not None))
    )
