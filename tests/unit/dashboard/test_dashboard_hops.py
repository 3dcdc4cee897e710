"""Where the time of a call goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.answers import Edge, Hops
from dashboard.components.hops import legs, where_the_time_goes

MS = st.none() | st.floats(0, 1e9)


def edge(*told: float | None) -> Edge:
    return Edge("shop", "books", 10, 0, 1.0, 0.0, hops=Hops(*told))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ((10, 9, 7, 4), [("shop → its proxy", 1), ("proxy → proxy", 2), ("proxy → books", 3), ("in books itself", 4)]),
        ((10, None, None, 4), [("shop → books", 6), ("in books itself", 4)]),
        ((10, 9, None, None), [("shop → its proxy", 1), ("behind the proxy", 9)]),
        ((10, None, 7, None), [("shop → proxy", 3), ("behind the proxy", 7)]),
        ((None, 9, None, 4), [("proxy → books", 5), ("in books itself", 4)]),
        ((None, None, 7, 4), [("proxy → books", 3), ("in books itself", 4)]),
        ((3, None, None, 4), [("shop → books", 0), ("in books itself", 3)]),
        ((10, 6, 7, 4), [("shop → its proxy", 4), ("proxy → proxy", 0), ("proxy → books", 2), ("in books itself", 4)]),
        ((None, None, None, 4), []),
        ((None, None, None, None), []),
    ],
)  # fmt: skip
def test_each_leg_is_what_one_saw_and_the_next_did_not(told: tuple[float | None, ...], expected: list[tuple[str, float]]) -> None:
    assert [(leg.words, leg.ms) for leg in legs(edge(*told))] == expected


def test_a_leg_keeps_its_colour_whoever_is_silent() -> None:
    whole, without_callers_proxy = legs(edge(10, 9, 7, 4)), legs(edge(10, None, 7, 4))
    assert len({leg.tone for leg in whole}) == 4
    assert [leg.tone for leg in without_callers_proxy] == [whole[0].tone, whole[2].tone, whole[3].tone]


def test_one_witness_tells_nothing_of_the_way() -> None:
    assert where_the_time_goes(edge(10, None, None, None)) is None
    assert where_the_time_goes(edge(0, None, None, 0)) is None


@given(MS, MS, MS, MS)
def test_any_answer_can_be_drawn(
    caller: float | None, out_proxy: float | None, in_proxy: float | None, callee: float | None
) -> None:
    found = legs(edge(caller, out_proxy, in_proxy, callee))
    assert all(leg.ms >= 0 for leg in found)
    assert (where_the_time_goes(edge(caller, out_proxy, in_proxy, callee)) is None) == (not sum(leg.ms for leg in found))
