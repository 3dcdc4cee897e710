import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_model.document import Problem, open_document
from mesh_model.matches import HeaderMatch, Match, PathMatch
from mesh_model.reading_routes import read_route
from mesh_proxy.http.request import RequestHead
from mesh_proxy.http.wire import plain_path
from mesh_proxy.routing.matching import Asked, checks_of, prefix_of
from tests.fakes.match_cases import CASES, Ask, Case


def head_of(ask: Ask, host: str = "shop.local") -> RequestHead:
    lines = [f"{name}: {value}\r\n".encode() for name, value in ask.headers]
    return RequestHead(ask.method.encode(), plain_path(ask.target.encode()), f"{host}{ask.port}".encode(), lines)


def taken(match: Match, head: RequestHead) -> bool:
    asked = Asked(head)
    return head.path.startswith(prefix_of(match)) and all(check(asked) for check in checks_of(match))


def match_of(case: Case) -> Match:
    problems: list[Problem] = []
    action: dict[str, Any] = {"weightedTargets": [{"virtualNode": "a", "weight": 1}]}
    route = {"routeName": "r", "spec": {case.kind: {"match": case.match, "action": action}}}
    found = read_route(open_document(json.dumps(route), problems))
    assert problems == []
    return found.match


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_match_takes_what_it_asks_for_and_nothing_else(case: Case) -> None:
    match = match_of(case)
    assert [ask for ask in case.takes if not taken(match, head_of(ask, case.host))] == []
    assert [ask for ask in case.leaves if taken(match, head_of(ask, case.host))] == []


def test_a_plain_prefix_has_nothing_to_check() -> None:
    assert checks_of(Match(PathMatch("prefix", "/pay"))) == ()


def test_the_port_a_connection_was_made_to_comes_before_the_authority() -> None:
    match = Match(port=9000)
    assert taken(match, head_of(Ask("/", port=":80"))._replace(port=9000))
    assert not taken(match, head_of(Ask("/", port=":9000"))._replace(port=80))


@given(
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=30), st.sampled_from(["exact", "prefix", "suffix"])
)
def test_inverting_a_header_that_is_there_takes_the_others(value: str, kind: Any) -> None:
    head = head_of(Ask("/", (("x-it", value),)))
    plain, inverted = HeaderMatch("x-it", kind, "a"), HeaderMatch("x-it", kind, "a", invert=True)
    assert taken(Match(headers=(plain,)), head) != taken(Match(headers=(inverted,)), head)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-100, 100), st.integers(1, 50))
def test_a_range_holds_its_start_and_not_its_end(number: int, start: int, width: int) -> None:
    wanted = Match(headers=(HeaderMatch("x-it", "range", start=start, end=start + width),))
    for value in (number, start, start + width, start - 1, start + width - 1):
        assert taken(wanted, head_of(Ask("/", (("x-it", str(value)),)))) == (start <= value < start + width)


def test_a_regular_expression_never_explodes() -> None:
    match = Match(PathMatch("regex", "/(a+)+b"))
    assert not taken(match, head_of(Ask("/" + "a" * 5000)))
