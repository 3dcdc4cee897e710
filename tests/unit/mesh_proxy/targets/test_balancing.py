from collections import Counter
from itertools import cycle
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_model.node_policies import Balancing, SlowStart
from mesh_model.resources import OutlierDetection
from mesh_proxy.targets.balancing import Balancer, LeastRequest, RandomChoice, RoundRobin, warmth
from mesh_proxy.targets.circuit import Circuit, Result
from mesh_proxy.targets.hash_balancing import MAGLEV_SIZE, Maglev, RingHash, hash_of
from mesh_proxy.targets.outlier import Endpoint, Place

KEYS = [hash_of(b"user-%d" % number) for number in range(2000)]


def endpoints(*weights: float, zone: str = "") -> list[Endpoint]:
    return [Endpoint(f"10.0.0.{number}:80", weight=weight, zone=zone) for number, weight in enumerate(weights, 1)]


def admitted(balancer: Balancer, members: list[Endpoint]) -> Balancer:
    balancer.admit(members, members)
    return balancer


def picks(balancer: Balancer, times: int, now: float = 0.0) -> Counter[str]:
    return Counter(balancer.pick(None, 0, now).address for _ in range(times))


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 1000))
def test_round_robin_gives_each_its_share_to_the_request(weights: list[int], seed: int) -> None:
    members = endpoints(*weights)
    found = picks(admitted(RoundRobin(Random(seed).random), members), sum(weights) * 10)
    for endpoint in members:
        assert found[endpoint.address] == pytest.approx(endpoint.weight * 10, abs=1)


def test_equal_endpoints_take_turns_without_a_balancer() -> None:
    circuit = Circuit()
    circuit.replace([Place("a:1"), Place("b:1"), Place("c:1")], 0.0)
    assert [circuit.admit() for _ in range(6)] == [circuit.endpoints[number] for number in (1, 2, 0, 1, 2, 0)]
    circuit.replace([Place("a:1", 3), Place("b:1")], 0.0)
    found = Counter(endpoint.address for _ in range(400) if (endpoint := circuit.admit()) is not None)
    assert found["a:1"] == pytest.approx(300, abs=1)


def test_least_request_takes_the_less_busy_of_two() -> None:
    members = endpoints(1, 1, 1)
    busy = {"10.0.0.1:80": 5, "10.0.0.2:80": 1, "10.0.0.3:80": 3}
    chance = cycle([0.0, 0.4, 0.9])  # first and second, third and first, second and third
    balancer = admitted(LeastRequest(lambda: next(chance), lambda endpoint: busy[endpoint.address]), members)
    assert [balancer.pick(None, 0, 0.0).address for _ in range(3)] == ["10.0.0.2:80", "10.0.0.3:80", "10.0.0.2:80"]


@given(st.integers(0, 9), st.integers(0, 9), st.sampled_from([0.5, 1.0, 2.0]), st.integers(0, 100))
def test_weighted_least_request_is_weight_over_active(one: int, other: int, bias: float, seed: int) -> None:
    members = endpoints(2, 1)
    busy = {"10.0.0.1:80": one, "10.0.0.2:80": other}
    found = picks(
        admitted(LeastRequest(Random(seed).random, lambda endpoint: busy[endpoint.address], bias), members), times := 2000
    )
    shares = 2 / (one + 1) ** bias, 1 / (other + 1) ** bias
    assert found["10.0.0.1:80"] == pytest.approx(times * shares[0] / sum(shares), abs=2)


def test_random_is_even() -> None:
    found = picks(admitted(RandomChoice(Random(7).random), endpoints(1, 1, 1, 1)), 8000)
    assert all(1850 < count < 2150 for count in found.values())


def test_maglev_fills_its_table_by_weight_and_the_same_every_time() -> None:
    balancer = Maglev(Random(1).random)
    members = endpoints(1, 2, 3)
    balancer.admit(members, members)
    found = Counter(balancer.table)
    assert sum(found.values()) == MAGLEV_SIZE
    for endpoint in members:
        assert found[endpoint.address] == pytest.approx(MAGLEV_SIZE * endpoint.weight / 6, abs=2)
    again = Maglev(Random(2).random)
    again.admit(endpoints(1, 2, 3), members)
    assert again.table == balancer.table


def test_maglev_moves_few_keys_when_one_of_ten_goes() -> None:
    members = endpoints(*[1] * 10)
    before, after = Maglev(Random(1).random), Maglev(Random(1).random)
    before.admit(members, members)
    after.admit(members[:-1], members[:-1])
    moved = sum(one != other and one != members[-1].address for one, other in zip(before.table, after.table, strict=True))
    assert moved < 0.05 * MAGLEV_SIZE


@pytest.mark.parametrize("kind", ["ring_hash", "maglev"])
def test_only_the_keys_of_an_ejected_endpoint_move_and_they_come_back(kind: str) -> None:
    balancer: Balancer = Maglev(Random(1).random) if kind == "maglev" else RingHash(Random(1).random)
    members = endpoints(1, 1, 1, 1, 1)
    balancer.admit(members, members)
    before = {key: balancer.pick(key, 0, 0.0) for key in KEYS}
    out = members[2]
    balancer.admit(members, [each for each in members if each is not out])
    during = {key: balancer.pick(key, 0, 0.0) for key in KEYS}
    assert {key for key in KEYS if before[key] is not during[key]} == {key for key in KEYS if before[key] is out}
    assert len({during[key] for key in KEYS if before[key] is out}) == 4, "they are spread over the others"
    balancer.admit(members, members)
    assert {key: balancer.pick(key, 0, 0.0) for key in KEYS} == before


@pytest.mark.parametrize("kind", ["ring_hash", "maglev"])
def test_a_further_attempt_goes_elsewhere_and_no_key_means_anywhere(kind: str) -> None:
    balancer: Balancer = Maglev(Random(1).random) if kind == "maglev" else RingHash(Random(1).random)
    members = endpoints(1, 1, 1)
    balancer.admit(members, members)
    for key in KEYS[:50]:
        assert len({balancer.pick(key, attempt, 0.0) for attempt in range(20)}) > 1
    assert len(picks(balancer, 100)) == 3


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_a_ring_has_the_size_that_is_asked_for_and_shares_by_weight(weights: list[int]) -> None:
    members = endpoints(*weights)
    ring = RingHash(Random(1).random, least=1024)
    ring.admit(members, members)
    owned = Counter(owner.address for owner in ring._owners)
    total = sum(owned.values())
    assert 1024 <= total <= 1025 + sum(weights)
    for endpoint in members:
        assert owned[endpoint.address] == pytest.approx(total * endpoint.weight / sum(weights), abs=2)


@given(st.floats(0, 100), st.sampled_from([0.5, 1.0, 2.0]))
def test_slow_start_grows_as_envoy_says(passed: float, aggression: float) -> None:
    slow, endpoint = SlowStart(60.0, aggression, 0.1), Endpoint("a:1", since=1000.0)
    share = warmth(endpoint, slow, 1000.0 + passed)
    if passed < 60:
        assert share == pytest.approx(max(0.1, (max(passed, 1) / 60) ** (1 / aggression)))
    else:
        assert share == 1
    assert warmth(endpoint, None, 1000.0) == 1


def test_a_new_endpoint_warms_up_and_then_takes_its_turn() -> None:
    circuit = Circuit(balancing=Balancing(slow_start=SlowStart(10.0)), chance=Random(3).random)
    circuit.replace([Place("a:1")], 0.0)
    circuit.advance(20.0)
    circuit.replace([Place("a:1"), Place("b:1")], 20.0)
    assert circuit.due == 30.0

    def shares(now: float) -> Counter[str]:
        return Counter(endpoint.address for _ in range(1100) if (endpoint := circuit.admit((), None, now)) is not None)

    assert shares(20.5)["b:1"] == pytest.approx(100, abs=2)
    assert shares(25.0)["b:1"] == pytest.approx(1100 / 3, abs=2)
    circuit.advance(30.0)
    assert shares(30.0) == {"a:1": 550, "b:1": 550}


def test_the_own_zone_is_preferred_while_enough_of_it_is_healthy() -> None:
    policy = OutlierDetection(1, 10.0, 30.0, 100)
    circuit = Circuit(policy, balancing=Balancing(zone_percent=60), zone="eu-1a")
    circuit.replace([Place(f"{name}:1", zone=zone) for name, zone in [("a", "eu-1a"), ("b", "eu-1a"), ("c", "eu-1b")]], 0.0)

    def called() -> set[str]:
        return {endpoint.address for _ in range(9) if (endpoint := circuit.admit()) is not None}

    assert called() == {"a:1", "b:1"}
    circuit.report(circuit.endpoints[0], Result.FAILED, 1.0)
    assert called() == {"b:1", "c:1"}, "half of the zone is less than 60 %"


def test_panic_calls_all_endpoints_and_is_told() -> None:
    policy = OutlierDetection(1, 10.0, 30.0, 100)
    circuit = Circuit(policy, balancing=Balancing(panic_percent=50))
    circuit.replace(map(Place, ["a:1", "b:1", "c:1"]), 0.0)
    circuit.report(circuit.endpoints[0], Result.FAILED, 1.0)
    assert not circuit.panicking
    changes = circuit.report(circuit.endpoints[1], Result.FAILED, 1.0)
    assert [change.action for change in changes] == ["ejected", "panic_began"]
    assert {endpoint.address for _ in range(9) if (endpoint := circuit.admit()) is not None} == {"a:1", "b:1", "c:1"}
    assert [change.action for change in circuit.advance(31.0)] == ["unejected", "unejected", "panic_ended"]
