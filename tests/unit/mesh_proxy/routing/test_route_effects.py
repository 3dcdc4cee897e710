from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_model.route_policies import Condition, HeaderEdits, RateLimit, route_policy_of
from mesh_proxy.limits.rate_limit import RateLimiter
from mesh_proxy.routing.effects import Edits, applies, effects_of


def test_a_full_bucket_lets_its_burst_pass_and_then_its_rate() -> None:
    limiter = RateLimiter(RateLimit(per_second=10, burst=3))
    assert [limiter.ask(b"", 0.0) is None for _ in range(4)] == [True, True, True, False]
    assert limiter.ask(b"", 0.05) == (b"x-ratelimit-limit: 3\r\n", b"x-ratelimit-remaining: 0\r\n", b"x-ratelimit-reset: 1\r\n")
    assert limiter.ask(b"", 0.1) is None
    assert limiter.ask(b"", 0.1) is not None
    assert [limiter.ask(b"", 100.0) is None for _ in range(4)] == [True, True, True, False]
    assert limiter.refused == 4


@given(st.floats(0.1, 1000), st.integers(1, 100), st.lists(st.floats(0, 2), max_size=200))
def test_never_more_than_the_burst_and_the_rate_pass(per_second: float, burst: int, gaps: list[float]) -> None:
    limiter, now, passed = RateLimiter(RateLimit(per_second, burst)), 0.0, 0
    for gap in gaps:
        now += gap
        passed += limiter.ask(b"", now) is None
    assert passed <= burst + ceil(now * per_second)


def test_each_value_of_a_header_has_its_own_bucket_and_their_number_is_bounded() -> None:
    limiter = RateLimiter(RateLimit(1, 1, "x-user"), most_keys=2)
    assert limiter.ask(b"ann", 0.0) is None
    assert limiter.ask(b"ben", 0.0) is None
    assert limiter.ask(b"ann", 0.0) is not None
    assert limiter.ask(b"cat", 0.0) is None  # makes ben go: ann was there later
    assert limiter.ask(b"ann", 0.0) is not None
    assert limiter.evicted == 1


LINES = [b"X-User: ann\r\n", b"Accept: a\r\n", b"accept: b\r\n"]


def test_headers_are_removed_set_and_added() -> None:
    edits = Edits(HeaderEdits(remove=("x-user",), set=(("accept", "c"),), add=(("x-new", "1"), ("x-new", "2"))))
    assert edits.apply(LINES) == [b"accept: c\r\n", b"x-new: 1\r\n", b"x-new: 2\r\n"]
    assert Edits(HeaderEdits(add=(("accept", "c"),))).apply(LINES) == [*LINES, b"accept: c\r\n"]


@pytest.mark.parametrize(
    ("when", "chance", "expected"),
    [
        (Condition(), 0.99, True),
        (Condition(10), 0.099, True),
        (Condition(10), 0.1, False),
        (Condition(0), 0.0, False),
        (Condition(100, "x-user"), 0.5, True),
        (Condition(100, "x-user", "ann"), 0.5, True),
        (Condition(100, "x-user", "ben"), 0.5, False),
        (Condition(100, "x-none"), 0.5, False),
    ],
)
def test_a_condition_is_a_share_of_those_with_a_header(when: Condition, chance: float, expected: bool) -> None:
    assert applies(when, LINES, lambda: chance) is expected


def test_tags_that_ask_for_nothing_cost_nothing() -> None:
    assert effects_of(route_policy_of({"service": "api", "version": "v1"})) is None
