"""The layered layout of the topology."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from dashboard.figures.layers import LANE, ROW, place

NAMES = st.sampled_from("abcdefghijkl")
GRAPHS = st.lists(st.tuples(NAMES, NAMES), max_size=30)


@given(GRAPHS, st.sets(NAMES))
def test_every_box_has_its_own_spot_and_none_overlap(pairs: list[tuple[str, str]], more: set[str]) -> None:
    names = {name for pair in pairs for name in pair} | more
    nodes = place(names, pairs).nodes
    assert set(nodes) == names
    for a, b in combinations(nodes.values(), 2):
        assert a.x != b.x or abs(a.y - b.y) >= min(ROW, LANE) - 0.2


@given(GRAPHS)
def test_callers_stand_left_of_those_they_call_when_nothing_goes_in_circles(pairs: list[tuple[str, str]]) -> None:
    forward = [(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]]
    placed = place({name for pair in forward for name in pair}, forward)
    for a, b in forward:
        assert placed.nodes[a].x < placed.nodes[b].x
    for (a, b), lanes in placed.lanes.items():
        xs = [placed.nodes[a].x, *[spot.x for spot in lanes], placed.nodes[b].x]
        assert xs == sorted(set(xs))


@given(GRAPHS, st.randoms())
def test_the_order_of_the_answer_does_not_change_the_picture(pairs: list[tuple[str, str]], random: object) -> None:
    names = sorted({name for pair in pairs for name in pair})
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert place(names, pairs) == place(reversed(names), shuffled)


def test_circles_and_unknown_names_are_no_problem() -> None:
    nodes = place(["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "a"), ("a", "a"), ("a", "unknown")]).nodes
    assert nodes["a"].x < nodes["b"].x < nodes["c"].x


def test_a_chain_with_a_shortcut_gives_the_shortcut_a_lane() -> None:
    placed = place("abc", [("a", "b"), ("b", "c"), ("a", "c")])
    (lane,) = placed.lanes["a", "c"]
    assert lane.x == placed.nodes["b"].x
    assert lane.y != placed.nodes["b"].y


def test_nothing_gives_nothing() -> None:
    assert place([], []).nodes == {}
