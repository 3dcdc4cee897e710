from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_model import regex
from mesh_model.matches import HeaderMatch, HostMatch, Match, PathMatch, QueryMatch
from mesh_model.order import literal_beginning, rank
from mesh_model.resources import GatewayRoute, Route, WeightedTarget

HEADER = (HeaderMatch("x"),)


def route(name: str, kind: str, text: str, priority: int | None = None, **more: object) -> Route:
    match = Match(PathMatch(kind, text), **more)  # type: ignore[arg-type]
    return Route(name, match, (WeightedTarget("a", 1),), priority=priority)


ORDERS = {
    "priority": [route("0", "prefix", "/", 0), route("7", "prefix", "/longer", 7), route("unset", "exact", "/longest")],
    "path": [
        route("exact", "exact", "/a"),
        route("long", "prefix", "/a/b/c"),
        route("regex", "regex", "/a/b[0-9]+"),
        route("short", "prefix", "/a/b"),
        route("regex-any", "regex", ".*[.]css"),
        route("all", "prefix", "/"),
    ],
    "conditions": [
        route("three", "prefix", "/", headers=HEADER, method="GET", port=80),
        route("two", "prefix", "/", headers=HEADER, query=(QueryMatch("q"),)),
        route("one", "prefix", "/", headers=HEADER),
        route("none", "prefix", "/"),
    ],
    "path-before-conditions": [route("path", "prefix", "/pay"), route("conditions", "prefix", "/", headers=HEADER)],
}


@pytest.mark.parametrize("expected", ORDERS.values(), ids=ORDERS.keys())
def test_routes_are_asked_in_this_order_however_they_were_declared(expected: list[Route]) -> None:
    for declared in permutations(expected):
        assert sorted(declared, key=rank) == expected


@pytest.mark.parametrize(
    ("pattern", "begins"),
    [
        ("/pay", "/pay"),
        ("/pay/[0-9]+", "/pay/"),
        ("/pays?", "/pay"),
        ("/pay+", "/pay"),
        ("/v1\\.0/.*", "/v1.0/"),
        ("/\\d+", "/"),
        ("/a{2}", "/"),
        ("/a|/b", ""),
        ("/x(a|b)", "/x"),
        ("(?i)/a", ""),
        ("", ""),
        ("/a\\", "/a"),
        ("/a$", "/a"),
    ],
)
def test_what_a_pattern_begins_with(pattern: str, begins: str) -> None:
    assert literal_beginning(pattern) == begins


@given(st.from_regex(r"/[a-c.*?+|()\[\]]{0,8}", fullmatch=True), st.text("abc/", max_size=6))
def test_every_match_begins_so(pattern: str, text: str) -> None:
    if not regex.problem(pattern) and regex.compiled(pattern).fullmatch(text.encode()):
        assert text.startswith(literal_beginning(pattern))


def test_equals_keep_the_order_of_their_declaration() -> None:
    regexes = [route("first", "regex", "/b[0-9]"), route("second", "regex", "/a.*")]
    assert sorted(regexes, key=rank) == regexes


def test_a_nearer_host_comes_first_at_the_same_priority() -> None:
    def at(host: HostMatch | None, priority: int | None = None) -> GatewayRoute:
        return GatewayRoute("r", "s", match=Match(host=host), priority=priority)

    expected = [
        at(None, 0),
        at(HostMatch("exact", "a.b.c")),
        at(HostMatch("suffix", ".b.c")),
        at(HostMatch("suffix", ".c")),
        at(None),
    ]
    for declared in permutations(expected):
        assert sorted(declared, key=rank) == expected


@given(st.lists(st.sampled_from([each for order in ORDERS.values() for each in order]), max_size=8))
def test_sorting_again_changes_nothing(routes: list[Route]) -> None:
    once = sorted(routes, key=rank)
    assert sorted(once, key=rank) == once
