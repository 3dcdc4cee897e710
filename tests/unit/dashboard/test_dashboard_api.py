"""Questions to the query API, and answers that do not come."""

from datetime import UTC, datetime

import httpx
import pytest

from dashboard.api import ApiFault, QueryApi
from tests.fakes.query_api import FakeQueryApi, Mood


class StoppedClock:
    """A clock that stands still."""

    def now(self) -> float:
        return 1_000.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody waits, not even {seconds} s")


def asking(transport: httpx.AsyncBaseTransport) -> QueryApi:
    return QueryApi(httpx.AsyncClient(transport=transport, base_url="http://api/api/v1"), StoppedClock())


@pytest.fixture
def mood() -> Mood:
    return Mood()


@pytest.fixture
def api(mood: Mood) -> QueryApi:
    return asking(httpx.ASGITransport(FakeQueryApi(mood).app))


async def test_every_answer_has_its_type(api: QueryApi) -> None:
    assert {row.name for row in (await api.services("15m")).services} >= {"gateway", "ledger"}
    assert (await api.topology("15m")).edges[0].source == "external"
    signals = await api.golden_signals("payments", "15m", step="10s", by="version")
    assert [one.group for one in signals.series] == ["v1", "v2"]
    (row,) = (await api.traces("15m", limit="1")).traces
    assert (await api.trace(row.trace_id)).spans[0].parent_id is None
    assert (await api.circuit_breakers("15m")).edges[0].intervals
    assert (await api.mesh_events("1h", type="config")).events[0].action == "accepted"
    assert (await api.alerts()).deliveries
    assert api.now() == datetime(1970, 1, 1, 0, 16, 40, tzinfo=UTC)


async def test_a_problem_is_told_in_its_own_words(api: QueryApi, mood: Mood) -> None:
    mood.broken = True
    with pytest.raises(ApiFault, match="The store is not available"):
        await api.topology("15m")


async def test_what_does_not_exist_is_told_apart(api: QueryApi) -> None:
    with pytest.raises(ApiFault) as told:
        await api.golden_signals("nobody/at all", "15m", step="10s")
    assert told.value.is_not_found


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(502, text="<html>bad gateway"), "answered 502"),
        (httpx.Response(200, text="<html>"), "unexpected answer"),
        (httpx.Response(200, json={"nodes": 3}), "unexpected answer"),
        (httpx.ConnectError("refused"), "cannot be reached"),
        (httpx.ReadTimeout("slow"), "in time"),
    ],
)
async def test_whatever_comes_back_becomes_words(answer: httpx.Response | Exception, words: str) -> None:
    def respond(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ApiFault, match=words):
        await asking(httpx.MockTransport(respond)).topology("15m")


async def test_names_stay_within_their_part_of_the_path() -> None:
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        return httpx.Response(404, json={})

    with pytest.raises(ApiFault):
        await asking(httpx.MockTransport(respond)).golden_signals("../traces?x", "15m", step="10s")
    assert asked == ["/api/v1/services/..%2Ftraces%3Fx/golden-signals?start=now-15m&step=10s"]
