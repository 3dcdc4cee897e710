"""In which order routes are asked: by priority, then the most specific first."""

from mesh_model.matches import Match, PathMatch
from mesh_model.resources import GatewayRoute, Route

_UNSET = 1001
_SPECIAL = frozenset(".^$*+?()[]{}|")
_REPEATS = frozenset("*?{")
Rank = tuple[int, ...]


def rank(route: Route | GatewayRoute) -> Rank:
    """Return what routes are sorted by; equals keep the order in which they were declared.

    Priority 0 comes first and unset last. Then, of a gateway, the nearer host: exact, the longer suffix, any. Then the path:
    exact, then the one that must begin with more; a regular expression before the prefix that it begins with, for it takes
    fewer paths, and so before `/` in any case. Then the route that asks for more: of two that hold, it was meant.
    """
    match = route.match
    return (
        _UNSET if route.priority is None else route.priority,
        *_host(match),
        *_path(match.path),
        -_conditions(match),
    )


def _host(match: Match) -> tuple[int, int]:
    if match.host is None:
        return (2, 0)
    return (0, 0) if match.host.kind == "exact" else (1, -len(match.host.text))


def _path(path: PathMatch) -> tuple[int, int, int]:
    if path.kind == "exact":
        return (0, 0, 0)
    if path.kind == "prefix":
        return (1, -len(path.text), 1)
    return (1, -max(1, len(literal_beginning(path.text))), 0)


def literal_beginning(pattern: str) -> str:
    """Return what every text that matches a regular expression is known to begin with."""
    found: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            character = next(characters, "")
            if character.isalnum():  # a class such as \d, or a boundary
                break
        elif character in _SPECIAL:
            if character in _REPEATS and found:
                found.pop()
            break
        found.append(character)
    return "" if _has_alternatives(pattern) else "".join(found)


def _has_alternatives(pattern: str) -> bool:
    """Whether there is a `|` outside of groups (or in a class, where it would do no harm to think so)."""
    depth = 0
    for character in pattern:
        depth += (character == "(") - (character == ")")
        if character == "|" and depth <= 0:
            return True
    return False


def _conditions(match: Match) -> int:
    return (
        len(match.headers) + len(match.query) + sum((match.method is not None, match.scheme is not None, match.port is not None))
    )
