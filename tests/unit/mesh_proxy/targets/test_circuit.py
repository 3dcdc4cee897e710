import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_model.resources import OutlierDetection
from mesh_proxy.targets.circuit import Change, Circuit, Result, State
from mesh_proxy.targets.outlier import Endpoint, OutlierDetector, Place

POLICY = OutlierDetection(max_server_errors=3, interval_s=10.0, base_ejection_s=30.0, max_ejection_percent=50)


def told(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.action, change.reason) for change in changes]


def circuit_of(*addresses: str, policy: OutlierDetection | None = POLICY) -> Circuit:
    circuit = Circuit(policy)
    circuit.replace(map(Place, addresses), 0.0)
    return circuit


def fail(circuit: Circuit, endpoint: Endpoint, times: int, now: float) -> list[Change]:
    return [change for _ in range(times) for change in circuit.report(endpoint, Result.FAILED, now)]


def test_only_errors_in_a_row_eject() -> None:
    circuit = circuit_of("a:1", "b:1")
    a = circuit.endpoints[0]
    assert not fail(circuit, a, 2, 0.0)
    circuit.report(a, Result.SUCCEEDED, 0.0)
    assert not fail(circuit, a, 2, 0.0)
    (change,) = fail(circuit, a, 1, 0.0)
    assert (change.action, change.reason, change.address) == ("ejected", "consecutive_5xx", "a:1")
    assert dict(change.numbers) == {"failures": 3, "ejection_ms": 30_000, "multiplier": 1}
    assert {endpoint.address for endpoint in (circuit.admit(), circuit.admit()) if endpoint} == {"b:1"}
    assert circuit.state is State.CLOSED


def test_no_more_than_the_share_is_ejected_but_one_always_may_be() -> None:
    circuit = circuit_of("a:1", "b:1", "c:1")
    a, b, c = circuit.endpoints
    assert told(fail(circuit, a, 3, 0.0)) == [("ejected", "consecutive_5xx")]
    assert told(fail(circuit, b, 3, 0.0)) == [("ejected", "consecutive_5xx")]  # 33 % < 50 %
    assert not fail(circuit, c, 3, 0.0)  # 66 % >= 50 %
    assert c.failures == 0
    never = circuit_of("a:1", "b:1", policy=OutlierDetection(1, 10.0, 30.0, 0))
    assert told(fail(never, never.endpoints[0], 1, 0.0)) == [("ejected", "consecutive_5xx")]
    assert not fail(never, never.endpoints[1], 1, 0.0)


def test_a_sweep_readmits_when_the_time_is_over_and_forgives() -> None:
    circuit = circuit_of("a:1", "b:1")
    a = circuit.endpoints[0]
    fail(circuit, a, 3, 1.0)
    assert circuit.due == 11.0
    assert not circuit.advance(11.0)
    assert not circuit.advance(21.0)
    assert told(circuit.advance(31.0)) == [("unejected", "cooldown_elapsed")]
    assert (a.ejected_at, a.failures, a.multiplier) == (None, 0, 1)
    assert told(fail(circuit, a, 3, 32.0)) == [("ejected", "consecutive_5xx")]
    assert a.multiplier == 2
    assert not circuit.advance(91.9)
    assert told(circuit.advance(102.0)) == [("unejected", "cooldown_elapsed")]
    circuit.advance(112.0)
    circuit.advance(122.0)
    assert a.multiplier == 0


@given(st.floats(0.1, 1000), st.integers(1, 50))
def test_ejections_grow_by_their_base_up_to_the_longest(base: float, times: int) -> None:
    detector = OutlierDetector(OutlierDetection(1, 10.0, base, 100), endpoints=[Endpoint("a:1")])
    endpoint = detector.endpoints[0]
    for _ in range(times):
        detector.eject(endpoint, 0.0)
    assert detector.ejection_s(endpoint) == pytest.approx(min(base * times, max(300.0, base)))


def test_when_all_are_ejected_the_circuit_opens_probes_and_closes() -> None:
    circuit = circuit_of("a:1")
    a = circuit.admit()
    assert a is not None
    assert told(fail(circuit, a, 3, 0.0)) == [("ejected", "consecutive_5xx"), ("opened", "consecutive_5xx")]
    assert circuit.state is State.OPEN
    assert circuit.admit() is None
    assert circuit.due == 10.0
    assert not circuit.advance(29.9)
    assert told(circuit.advance(30.0)) == [("half_opened", "cooldown_elapsed")]
    probe = circuit.admit()
    assert probe is a
    assert circuit.admit() is None, "one probe at a time"
    assert told(circuit.report(probe, Result.SUCCEEDED, 31.0)) == [
        ("unejected", "probe_succeeded"),
        ("closed", "probe_succeeded"),
    ]
    assert circuit.admit() is a


def test_a_failed_probe_opens_again_for_longer() -> None:
    circuit = circuit_of("a:1")
    a = circuit.endpoints[0]
    fail(circuit, a, 3, 0.0)
    circuit.advance(30.0)
    probe = circuit.admit()
    assert probe is not None
    assert told(circuit.report(probe, Result.FAILED, 31.0)) == [("ejected", "probe_failed"), ("opened", "probe_failed")]
    assert circuit.admit() is None
    assert not [change for change in circuit.advance(90.9) if change.action == "half_opened"]
    assert told(circuit.advance(91.0)) == [("half_opened", "cooldown_elapsed")]


def test_an_abandoned_probe_makes_way_for_the_next_and_late_results_change_nothing() -> None:
    circuit = circuit_of("a:1")
    a = circuit.endpoints[0]
    fail(circuit, a, 3, 0.0)
    assert not circuit.report(a, Result.SUCCEEDED, 1.0), "an answer from before the ejection"
    assert circuit.state is State.OPEN
    circuit.advance(30.0)
    probe = circuit.admit()
    assert probe is not None
    assert not circuit.report(probe, Result.ABANDONED, 31.0)
    assert circuit.admit() is a


def test_without_a_policy_nothing_is_ever_ejected() -> None:
    circuit = circuit_of("a:1", policy=None)
    assert not fail(circuit, circuit.endpoints[0], 1000, 0.0)
    assert circuit.admit() is not None


def test_retries_prefer_endpoints_not_tried_yet() -> None:
    circuit = circuit_of("a:1", "b:1", "c:1")
    for _ in range(10):
        endpoint = circuit.admit(("a:1", "b:1"))
        assert endpoint is not None
        assert endpoint.address == "c:1"
    assert circuit.admit(("a:1", "b:1", "c:1")) is not None


def test_new_addresses_keep_old_records_and_close_an_open_circuit() -> None:
    circuit = circuit_of("a:1")
    fail(circuit, circuit.endpoints[0], 3, 0.0)
    assert told(circuit.replace([Place("a:1"), Place("b:1")], 1.0)) == [("closed", "endpoints_changed")]
    assert [endpoint.ejected_at for endpoint in circuit.endpoints] == [0.0, None]
    circuit.replace([], 2.0)
    assert circuit.admit() is None
    assert circuit.state is State.CLOSED


_STEPS = st.lists(st.tuples(st.sampled_from([*Result, None]), st.floats(0, 40)), max_size=60)


@given(_STEPS, st.integers(1, 3), st.integers(0, 100))
def test_events_tell_the_states_and_a_circuit_is_open_only_when_all_are_ejected(
    steps: list[tuple[Result | None, float]], endpoints: int, percent: int
) -> None:
    circuit = circuit_of(*(f"{name}:1" for name in "abc"[:endpoints]), policy=OutlierDetection(2, 10.0, 5.0, percent))
    state, now = "closed", 0.0
    for result, passed in steps:
        now += passed
        changes = circuit.advance(now) if now >= circuit.due else []
        if result is not None and (endpoint := circuit.admit()) is not None:
            changes += circuit.report(endpoint, result, now)
        for change in changes:
            if change.name == "mesh.circuit_breaker":
                assert change.action != state
                state = change.action
        assert state == {"closed": "closed", "open": "opened", "half_open": "half_opened"}[circuit.state]
        assert (circuit.state is State.CLOSED) == any(endpoint.ejected_at is None for endpoint in circuit.endpoints)
