from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_model.door_policies import AdaptiveConcurrency, AdmissionControl, admission_of, concurrency_of
from mesh_model.tag_words import TagProblem
from mesh_proxy.limits.admission import Admission
from mesh_proxy.limits.concurrency import Gradient

POLICY = AdaptiveConcurrency(measure_requests=10)


def measured(best_s: float) -> Gradient:
    gradient = Gradient(POLICY)
    for _ in range(10):
        assert gradient.enter(0.0)
        gradient.leave(best_s, 0.0)
    return gradient


def rounds(gradient: Gradient, latency_s: float, times: int, now: float) -> float:
    for _ in range(times):
        now += 0.11
        assert gradient.enter(now)
        gradient.leave(latency_s, now)
    return now


def test_while_the_best_latency_is_measured_only_a_few_may_enter() -> None:
    gradient = Gradient(POLICY)
    assert [gradient.enter(0.0) for _ in range(5)] == [True, True, True, False, False]
    assert gradient.refused == 2
    gradient.leave(None, 0.0)
    assert gradient.enter(0.0)


@given(st.floats(0.001, 1.0), st.floats(0.001, 1.0), st.integers(3, 1000))
def test_the_limit_follows_the_gradient(best_s: float, sample_s: float, limit: int) -> None:
    gradient = measured(best_s)
    gradient.limit = limit
    wanted = min(2.0, max(0.5, best_s * 1.25 / sample_s)) * limit
    assert gradient.next_limit(sample_s) == int(min(1000, max(3, wanted + sqrt(wanted))))


def test_quick_answers_raise_the_limit_slow_ones_lower_it_and_then_it_is_measured_again() -> None:
    gradient = measured(0.010)
    now = rounds(gradient, 0.010, 12, 0.0)
    raised = gradient.limit
    assert raised > 50
    now = rounds(gradient, 0.100, 6, now)
    assert gradient.limit < raised / 4
    now = rounds(gradient, 0.100, 40, now)
    assert gradient.best_s == pytest.approx(0.100), "what was best is out of reach: it was measured again"


def test_now_and_then_the_best_latency_is_measured_again() -> None:
    gradient = measured(0.010)
    now = rounds(gradient, 0.010, 12, 0.0)
    raised = gradient.limit
    assert gradient.enter(now + 60.0)
    assert gradient.limit == 3
    gradient.leave(0.020, now + 60.0)
    for _ in range(9):
        gradient.enter(now + 60.0)
        gradient.leave(0.020, now + 60.0)
    assert (gradient.best_s, gradient.limit) == (0.020, raised)


@given(st.lists(st.booleans(), max_size=300), st.sampled_from([0.5, 1.0, 2.0]))
def test_the_share_that_is_refused_is_envoys(results: list[bool], aggression: float) -> None:
    admission = Admission(AdmissionControl(aggression=aggression))
    for number, well in enumerate(results):
        admission.ended(well=well, now=number * 0.05)
    total, good = len(results), sum(results)
    share = max(0.0, (total - good / 0.95) / (total + 1)) ** (1 / aggression)
    assert admission.refusal_probability() == pytest.approx(min(0.8, share))


def test_refusals_end_when_the_failures_are_out_of_the_window() -> None:
    admission = Admission(AdmissionControl(window_s=10.0))
    for _ in range(100):
        admission.ended(well=False, now=0.5)
    assert not admission.admits(0.5, 1.0)
    assert admission.admits(0.8, 1.0)
    assert admission.refused == 1
    assert admission.admits(0.0, 11.0)
    assert (admission.requests, admission.successes) == (0, 0)


def test_little_traffic_is_not_judged() -> None:
    admission = Admission(AdmissionControl(window_s=10.0, least_rps=5.0))
    for _ in range(49):
        admission.ended(well=False, now=0.5)
    assert admission.admits(0.0, 1.0)
    admission.ended(well=False, now=0.5)
    assert not admission.admits(0.0, 1.0)


def test_what_tags_say() -> None:
    assert concurrency_of({}) is None
    assert concurrency_of({"adaptive-concurrency": "on"}) == AdaptiveConcurrency()
    assert concurrency_of({"adaptive-concurrency": "on update=50ms least=10"}) == AdaptiveConcurrency(update_s=0.05, least=10)
    assert admission_of({"admission-control": "on threshold=90 most=50"}) == AdmissionControl(threshold=0.9, most_refused=0.5)


@pytest.mark.parametrize(
    "tags",
    [
        {"adaptive-concurrency": "off"},
        {"adaptive-concurrency": "on least=5 most=4"},
        {"adaptive-concurrency": "on update=0s"},
        {"admission-control": "on threshold=0"},
        {"admission-control": "on window=100ms"},
    ],
    ids=str,
)
def test_what_tags_cannot_say(tags: dict[str, str]) -> None:
    with pytest.raises(TagProblem):
        concurrency_of(tags) or admission_of(tags)
