from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mesh_proxy.routing.weights import WeightedChoice


@given(st.lists(st.integers(1, 100), min_size=1, max_size=10))
def test_every_share_of_chance_belongs_to_its_weight(weights: list[int]) -> None:
    total = sum(weights)
    chances = iter([(i + 0.5) / total for i in range(total)])
    choice = WeightedChoice(range(len(weights)), weights, lambda: next(chances))
    assert Counter(choice.pick() for _ in range(total)) == Counter(dict(enumerate(weights)))


def test_ninety_to_ten_over_many_requests() -> None:
    choice = WeightedChoice(["v1", "v2"], [90, 10], Random(7).random)
    seen = Counter(choice.pick() for _ in range(20_000))
    assert 1800 < seen["v2"] < 2200
