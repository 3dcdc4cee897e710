from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from query_api.trace_tree import tree_order


def span(own: str, parent: str | None) -> dict[str, Any]:
    return {"span_id": own, "parent_id": parent}


def read(*spans: dict[str, Any]) -> list[tuple[str, int]]:
    return [(row["span_id"], depth) for row, depth in tree_order(spans)]


def test_parents_come_before_children_and_siblings_by_start() -> None:
    assert read(span("c", "b"), span("a", None), span("b", "a"), span("d", "a")) == [("a", 0), ("b", 1), ("c", 2), ("d", 1)]


def test_a_span_whose_parent_is_missing_is_a_root() -> None:
    assert read(span("a", "lost"), span("b", "a")) == [("a", 0), ("b", 1)]


def test_a_circle_is_entered_at_its_earliest_span() -> None:
    assert read(span("a", "b"), span("b", "a"), span("c", "c")) == [("c", 0), ("a", 0), ("b", 1)]


def test_a_span_that_came_twice_is_shown_twice() -> None:
    assert read(span("a", None), span("b", "a"), span("b", "a"), span("c", "b")) == [("a", 0), ("b", 1), ("c", 2), ("b", 1)]


def test_a_chain_may_be_as_deep_as_a_trace_is_long() -> None:
    chain = [span(str(n), str(n - 1) if n else None) for n in range(20_000)]
    assert [depth for _, depth in tree_order(chain)] == list(range(20_000))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.sampled_from("abcdefz"))))
def test_every_span_is_read_once_and_below_a_parent(ids: list[tuple[str, str | None]]) -> None:
    spans = [span(own, parent) for own, parent in ids]
    order = list(tree_order(spans))
    assert sorted(map(id, spans)) == sorted(id(row) for row, _ in order)
    last_at: dict[int, str] = {}
    for row, depth in order:
        assert depth == 0 or last_at[depth - 1] == row["parent_id"]
        last_at[depth] = row["span_id"]
