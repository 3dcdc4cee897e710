"""The URL as the state of a page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import links, shell
from dashboard.app import pages

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(st.dictionaries(WORDS, WORDS, max_size=8))
def test_what_is_written_can_be_read(params: dict[str, str]) -> None:
    written = links.href("/service", params)
    assert written.startswith("/service")
    assert links.params_of(written.removeprefix("/service")) == params


@given(st.text(max_size=300))
def test_anything_can_be_read(search: str) -> None:
    assert links.since_of(links.params_of(search)) in links.RANGES


def test_changes_win_and_empty_ones_leave_out() -> None:
    assert links.href("/x", {"a": "1", "b": "2"}, b="", c="3") == "/x?a=1&c=3"
    assert links.href("/x", {"a": "1"}, a="") == "/x"


def test_only_a_known_time_range_is_carried() -> None:
    assert links.carried({"since": "6h", "service": "a"}) == {"since": "6h"}
    assert links.carried({"since": "<b>"}) == {}


@pytest.mark.parametrize("since", links.RANGES)
def test_every_time_range_has_a_step(since: str) -> None:
    assert since in links.STEPS
    assert links.step_of(since).endswith("s")


def test_every_page_of_the_navigation_is_a_plain_link() -> None:
    known = pages()
    nav = shell.navigation(known, "/trace", {"since": "1h"})
    assert [item.href for item in nav.children] == [
        "/?since=1h",
        "/service?since=1h",
        "/traces?since=1h",
        "/breakers?since=1h",
        "/alerts?since=1h",
    ]
    assert [getattr(item, "aria-current", None) for item in nav.children] == [None, None, "page", None, None]


def test_a_path_that_leads_nowhere_is_no_link() -> None:
    assert "evil" not in str(shell.ranges("/", {"since": "1h"}))
