import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.backoff import backoff_s, ceiling_s
from mesh_model.resources import RetryPolicy
from mesh_proxy.exchange.retry import DEFAULT_RULE, NO_RETRIES, Failure, Verdict, judge, rule_of, within_budget


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_a_wait_lies_between_nothing_and_its_ceiling(retry: int, chance: float) -> None:
    assert 0 <= backoff_s(retry, chance) <= ceiling_s(retry) <= 0.25
    assert ceiling_s(retry) == min((2 ** min(retry, 30) - 1) * 0.025, 0.25)


def test_ceilings_are_envoys() -> None:
    assert [ceiling_s(retry) for retry in range(1, 6)] == [0.025, pytest.approx(0.075), pytest.approx(0.175), 0.25, 0.25]


def test_a_route_without_policy_has_the_meshs() -> None:
    rule = rule_of(None)
    assert rule is DEFAULT_RULE
    assert judge(rule, 503, retries=1, within_budget=True) is Verdict.RETRY
    assert judge(rule, Failure.CONNECT, retries=0, within_budget=True) is Verdict.RETRY
    assert judge(rule, Failure.RESET, retries=2, within_budget=True) is Verdict.LIMIT_REACHED
    assert judge(rule, 500, retries=0, within_budget=True) is Verdict.NOT_RETRIABLE
    assert judge(rule, Failure.TIMEOUT, retries=0, within_budget=True) is Verdict.NOT_RETRIABLE


@pytest.mark.parametrize(
    ("event", "retried", "not_retried"),
    [
        ("server-error", [500, 501, 508, 510, 511, Failure.TIMEOUT, Failure.CONNECT], [409, 509, 404]),
        ("gateway-error", [502, 503, 504, Failure.RESET, Failure.TIMEOUT], [500, 505, 409]),
        ("client-error", [409], [408, 500, Failure.CONNECT]),
        ("stream-error", [Failure.RESET], [Failure.CONNECT, 503]),
        ("connection-error", [Failure.CONNECT], [Failure.RESET, 503]),
    ],
)
def test_events_mean_what_app_mesh_says(event: str, retried: list[int | Failure], not_retried: list[int | Failure]) -> None:
    rule = rule_of(RetryPolicy(1, 0.0, frozenset({event} - {"connection-error"}), frozenset({event} & {"connection-error"})))
    assert {judge(rule, outcome, retries=0, within_budget=True) for outcome in retried} == {Verdict.RETRY}
    assert {judge(rule, outcome, retries=0, within_budget=True) for outcome in not_retried} == {Verdict.NOT_RETRIABLE}


def test_limit_and_budget_are_told_apart() -> None:
    assert judge(DEFAULT_RULE, 503, retries=0, within_budget=False) is Verdict.BUDGET_SPENT
    assert judge(DEFAULT_RULE, 503, retries=2, within_budget=False) is Verdict.LIMIT_REACHED
    assert judge(NO_RETRIES, Failure.CONNECT, retries=0, within_budget=True) is Verdict.NOT_RETRIABLE


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_budget_is_a_fifth_but_never_less_than_three(retries: int, requests: int) -> None:
    assert within_budget(retries, requests) == (retries < 3 or retries < 0.2 * requests)
