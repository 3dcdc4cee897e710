from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_model.node_policies import Outliers
from mesh_model.resources import OutlierDetection
from mesh_proxy.targets.circuit import Circuit, Result
from mesh_proxy.targets.outlier import Place, success_rate_threshold

POLICY = OutlierDetection(max_server_errors=100_000, interval_s=10.0, base_ejection_s=30.0, max_ejection_percent=50)


def circuit_of(more: Outliers, endpoints: int = 5, policy: OutlierDetection = POLICY) -> Circuit:
    circuit = Circuit(policy, more)
    circuit.replace([Place(f"10.0.0.{number}:80") for number in range(endpoints)], 0.0)
    return circuit


def answer(circuit: Circuit, endpoint: int, *, good: int, bad: int) -> None:
    for result, times in ((Result.FAILED, bad), (Result.SUCCEEDED, good)):
        for _ in range(times):
            assert not circuit.report(circuit.endpoints[endpoint], result, 1.0)


def ejected(circuit: Circuit, now: float = 10.0) -> list[tuple[str, str]]:
    return [(change.address, change.reason) for change in circuit.advance(now) if change.action == "ejected"]


def test_gateway_failures_in_a_row_eject_and_other_errors_begin_anew() -> None:
    circuit = circuit_of(Outliers(gateway_failures=3))
    endpoint = circuit.endpoints[0]
    for result in (Result.GATEWAY_FAILED, Result.UNANSWERED, Result.FAILED, Result.GATEWAY_FAILED, Result.UNANSWERED):
        assert not circuit.report(endpoint, result, 0.0)
    (change,) = circuit.report(endpoint, Result.GATEWAY_FAILED, 0.0)
    assert (change.action, change.reason) == ("ejected", "consecutive_gateway_failure")


def test_local_failures_count_for_themselves_when_split_and_as_server_errors_when_not() -> None:
    split = circuit_of(Outliers(local_failures=2), policy=OutlierDetection(2, 10.0, 30.0, 50))
    endpoint = split.endpoints[0]
    assert not split.report(endpoint, Result.FAILED, 0.0)
    assert not split.report(endpoint, Result.UNANSWERED, 0.0)
    (change,) = split.report(endpoint, Result.UNANSWERED, 0.0)
    assert change.reason == "consecutive_local_origin_failure"
    whole = circuit_of(Outliers(), policy=OutlierDetection(2, 10.0, 30.0, 50))
    assert not whole.report(whole.endpoints[0], Result.FAILED, 0.0)
    (change,) = whole.report(whole.endpoints[0], Result.UNANSWERED, 0.0)
    assert change.reason == "consecutive_5xx"


def test_a_success_ends_every_row() -> None:
    circuit = circuit_of(Outliers(gateway_failures=2, local_failures=2))
    endpoint = circuit.endpoints[0]
    assert not endpoint.plain, "successes have to be reported"
    for _ in range(3):
        assert not circuit.report(endpoint, Result.GATEWAY_FAILED, 0.0)
        assert not circuit.report(endpoint, Result.UNANSWERED, 0.0)
        assert not circuit.report(endpoint, Result.SUCCEEDED, 0.0)


@given(st.lists(st.floats(0, 100), min_size=5, max_size=20))
def test_the_success_rate_must_not_lie_1_9_standard_deviations_below_the_mean(rates: list[float]) -> None:
    mean = sum(rates) / len(rates)
    stdev = sqrt(sum((rate - mean) ** 2 for rate in rates) / len(rates))
    assert success_rate_threshold(rates, 1.9) == pytest.approx(mean - 1.9 * stdev)


def test_much_fewer_successes_than_the_others_eject() -> None:
    circuit = circuit_of(Outliers(success_rate_stdevs=1.9), endpoints=6)
    for number in range(5):
        answer(circuit, number, good=99, bad=1)
    answer(circuit, 5, good=60, bad=40)
    # mean 92.5, standard deviation 14.53: the threshold is 64.9
    assert ejected(circuit) == [("10.0.0.5:80", "success_rate")]
    assert circuit.due == 20.0
    assert not ejected(circuit, 20.0), "what counted once does not count again"


@pytest.mark.parametrize(("endpoints", "requests"), [(4, 100), (6, 99)])
def test_few_endpoints_or_few_requests_are_not_judged_by_rate(endpoints: int, requests: int) -> None:
    circuit = circuit_of(Outliers(success_rate_stdevs=0.5), endpoints=endpoints)
    for number in range(endpoints):
        answer(circuit, number, good=0 if number == 0 else requests, bad=requests if number == 0 else 0)
    assert not ejected(circuit)


def test_a_failure_percentage_ejects_but_not_more_than_the_share() -> None:
    policy = OutlierDetection(100_000, 10.0, 30.0, 30)
    circuit = circuit_of(Outliers(failure_percent=85), endpoints=5, policy=policy)
    for number in range(5):
        answer(circuit, number, good=50 if number > 2 else 7, bad=0 if number > 2 else 43)
    assert ejected(circuit) == [("10.0.0.0:80", "failure_percentage"), ("10.0.0.1:80", "failure_percentage")]
    assert circuit.refused_ejections == 1  # 40 % >= 30 %
    below = circuit_of(Outliers(failure_percent=85))
    for number in range(5):
        answer(below, number, good=8, bad=42)
    assert not ejected(below)


def test_health_checks_take_an_endpoint_out_and_a_success_ends_an_ejection() -> None:
    circuit = circuit_of(Outliers(), endpoints=2, policy=OutlierDetection(1, 10.0, 30.0, 100))
    one, other = circuit.endpoints
    assert [change.action for change in circuit.checked(one, healthy=False, well=False, now=1.0)] == ["unhealthy"]
    assert {circuit.admit(), circuit.admit()} == {other}
    circuit.report(other, Result.FAILED, 2.0)
    assert circuit.state == "open"
    assert [change.action for change in circuit.checked(other, healthy=True, well=True, now=3.0)] == ["unejected", "closed"]
    assert [change.action for change in circuit.checked(one, healthy=True, well=True, now=4.0)] == ["healthy"]
    assert {circuit.admit(), circuit.admit()} == {one, other}


def test_an_unhealthy_endpoint_is_not_probed() -> None:
    circuit = circuit_of(Outliers(), endpoints=1, policy=OutlierDetection(1, 10.0, 30.0, 100))
    endpoint = circuit.endpoints[0]
    circuit.report(endpoint, Result.FAILED, 0.0)
    circuit.checked(endpoint, healthy=False, well=False, now=1.0)
    circuit.advance(100.0)
    assert (circuit.state, circuit.admit()) == ("open", None)
    circuit.checked(endpoint, healthy=True, well=True, now=101.0)
    assert (circuit.state, circuit.admit()) == ("closed", endpoint)
