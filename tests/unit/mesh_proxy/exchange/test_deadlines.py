from math import inf

from hypothesis import given
from hypothesis import strategies as st

from mesh_proxy.exchange.deadlines import Deadlines


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 2.0, 15.0]), st.floats(0, 3), st.booleans()), max_size=40))
def test_exactly_those_expire_whose_time_is_over(steps: list[tuple[float, float, bool]]) -> None:
    deadlines: Deadlines[int] = Deadlines()
    expected: dict[int, float] = {}
    now = 0.0
    for item, (limit, passed, met) in enumerate(steps):
        now += passed
        over = {item for item, deadline in expected.items() if deadline <= now}
        assert set(deadlines.pop_expired(now)) == over
        expected = {item: deadline for item, deadline in expected.items() if item not in over}
        deadlines.add(item, limit, now)
        if limit:
            expected[item] = now + limit
        if met:
            deadlines.discard(item, limit)
            expected.pop(item, None)
        assert len(deadlines) == len(expected)
        assert deadlines.next() == min(expected.values(), default=inf)
