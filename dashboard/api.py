"""Questions to the query API: the only module that talks to it."""

from datetime import UTC, datetime
from typing import ClassVar, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from core.clock import Clock
from core.faults import Fault
from dashboard.answers import Alerts, Attributes, CircuitBreakers, GoldenSignals, MeshEvents, Services, Topology, Trace, Traces

T = TypeVar("T")
PATIENCE = httpx.Timeout(10.0, connect=2.0)


class ApiFault(Fault):
    """The query API gave no usable answer; ``title`` and ``hint`` are for the page."""

    code: ClassVar[str] = "query_api"
    retryable: ClassVar[bool] = True

    def __init__(self, title: str, hint: str = "", *, code: str = "query_api") -> None:
        super().__init__(f"{title}. {hint}".strip())
        self.title = title
        self.hint = hint
        self.answer_code = code

    @property
    def is_not_found(self) -> bool:
        """Whether the thing asked for does not exist."""
        return self.answer_code == "not_found"


class QueryApi:
    """Typed answers of the query API; every method raises ApiFault when there is none.

    ``since`` is how far back the window reaches from now, such as ``15m``.
    """

    def __init__(self, client: httpx.AsyncClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def now(self) -> datetime:
        """Return the time, for answers that do not tell theirs."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    async def services(self, since: str) -> Services:
        """Return every service seen."""
        return await self._get(Services, "services", start=f"now-{since}")

    async def topology(self, since: str) -> Topology:
        """Return who called whom."""
        return await self._get(Topology, "topology", start=f"now-{since}")

    async def golden_signals(self, service: str, since: str, *, step: str, by: str = "") -> GoldenSignals:
        """Return one service's golden signals, a point per ``step``, split ``by`` version, route or zone."""
        path = f"services/{quote(service, safe='')}/golden-signals"
        return await self._get(GoldenSignals, path, start=f"now-{since}", step=step, by=by)

    async def traces(self, since: str, **wanted: str) -> Traces:
        """Return traces, newest first; ``wanted`` are the filters of the API."""
        return await self._get(Traces, "traces", start=f"now-{since}", **wanted)

    async def attributes(self, since: str, *, service: str = "", limit: str = "") -> Attributes:
        """Return the attributes of spans, those of most spans first."""
        return await self._get(Attributes, "attributes", start=f"now-{since}", service=service, scope="span", limit=limit)

    async def trace(self, trace_id: str) -> Trace:
        """Return one trace."""
        return await self._get(Trace, f"traces/{quote(trace_id, safe='')}")

    async def mesh_events(self, since: str, **wanted: str) -> MeshEvents:
        """Return mesh events, newest first."""
        return await self._get(MeshEvents, "mesh-events", start=f"now-{since}", **wanted)

    async def circuit_breakers(self, since: str) -> CircuitBreakers:
        """Return the states of every circuit breaker."""
        return await self._get(CircuitBreakers, "circuit-breakers", start=f"now-{since}")

    async def alerts(self) -> Alerts:
        """Return alerts and deliveries."""
        return await self._get(Alerts, "alerts")

    async def _get(self, kind: type[T], path: str, **params: str) -> T:
        given = {name: value for name, value in params.items() if value}
        try:
            answer = await self._client.get(path, params=given, timeout=PATIENCE)
        except httpx.TimeoutException as error:
            raise ApiFault("The query API did not answer in time", "Choose a shorter time range, or try again.") from error
        except httpx.HTTPError as error:
            raise ApiFault("The query API cannot be reached", "Check that it runs; this page tries again by itself.") from error
        if answer.status_code != httpx.codes.OK:
            raise _problem(answer)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.MsgspecError as error:
            raise ApiFault("The query API gave an unexpected answer", "Dashboard and API may differ in version.") from error


class _Problem(msgspec.Struct):
    title: str = ""
    detail: str = ""
    code: str = "query_api"


def _problem(answer: httpx.Response) -> ApiFault:
    try:
        told = msgspec.json.decode(answer.content, type=_Problem)
    except msgspec.MsgspecError:
        told = _Problem()
    title = told.title or f"The query API answered {answer.status_code}"
    return ApiFault(title, told.detail, code=told.code)
