"""One request on its way through the proxy, and its answer on the way back.

The design's layers, flattened into callbacks so that no task is made per request (a task costs about as much as all
of the proxying). In their order: telemetry (SERVER span) -> rescue (a failure becomes an answer with a response flag)
-> match route -> pick target by weight -> deadline (whole) -> retry -> deadline (each try) -> balance and circuit
-> telemetry (CLIENT span, traceparent) -> pool -> upstream.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.backoff import backoff_s
from mesh_proxy.exchange import rescue
from mesh_proxy.exchange.rescue import Rescue
from mesh_proxy.exchange.retry import NO_RETRIES, Failure, Verdict, judge
from mesh_proxy.http import grpc_status
from mesh_proxy.http.grpc_status import NO_STATUS
from mesh_proxy.http.request import NO_BODY, RequestBody, RequestHead
from mesh_proxy.routing.touch import Touch
from mesh_proxy.targets.circuit import Result, result_of
from mesh_proxy.targets.outlier import Endpoint
from mesh_proxy.telemetry.trace import Trace, passed_on

if TYPE_CHECKING:
    from mesh_proxy.http.ends import Client, Way
    from mesh_proxy.routing.routes import Lane, LiveRoute
    from mesh_proxy.side import Side
    from mesh_proxy.upstream.pool import Pool


class Exchange:
    """A request and its answer. It ends exactly once: answered, rescued, or without its client."""

    __slots__ = (
        "_answered",
        "_attempting",
        "_backoff",
        "_caller",
        "_complete_at",
        "_endpoint",
        "_invited",
        "_retrying",
        "_side",
        "_touch",
        "_tried",
        "_way",
        "attempt_at",
        "attempts",
        "body",
        "client",
        "finished",
        "flags",
        "grpc_status",
        "head",
        "lane",
        "outgoing",
        "pool",
        "quiet_ticks",
        "route",
        "started",
        "status",
        "trace",
    )

    def __init__(self, client: "Client", side: "Side", head: RequestHead) -> None:
        self.head = self.outgoing = head
        self.body = RequestBody() if head.has_body else NO_BODY
        self.client, self._side = client, side
        self.route: LiveRoute | None = None
        self.lane: Lane | None = None
        self._endpoint: Endpoint | None = None
        self.pool: Pool | None = None
        self._way: Way | None = None
        self._backoff: asyncio.TimerHandle | None = None
        self.trace: Trace | None = None
        self._touch: Touch | None = None
        self._tried: tuple[str, ...] = ()
        self.started = self.attempt_at = self._complete_at = 0.0
        self.attempts = self.status = self.quiet_ticks = 0
        self.finished = self._answered = self._attempting = self._retrying = self._invited = False
        self.flags, self._caller, self.grpc_status = "", b"", NO_STATUS

    def __repr__(self) -> str:
        return f"<Exchange {self.head.method.decode()} {self.head.path.decode()} attempt {self.attempts} status {self.status}>"

    # the request's way

    def start(self) -> None:
        """It is this request's turn."""
        side, head = self._side, self.head
        side.counts.requests += 1
        self.started = now = side.clock.monotonic()
        if side.telemetry.on:
            self.trace = Trace(side, head)
        if side.access_log is not None:
            self.client = side.access_log.follow(self)
        if side.guard is not None and (why := side.guard.judge(self.client.peer, head, side.clock.now())) is not None:
            self._rescue(why)
            return
        route = side.routes.match(head) or side.beyond_the_mesh(head)
        if route is None:
            self._rescue(rescue.NO_ROUTE)
            return
        if route.rewrite is not None:
            self.outgoing = route.rewrite(head)
        self.route, self.lane = route, route.lanes.pick()
        self.lane.target.active += 1
        if self.body.complete:
            self._complete_at = now
            side.watch_request(self, route.timeout.per_request_s, now)
        if route.effects is not None or self.lane.target.sticky is not None:  # tags ask for more than routing
            self._touch = Touch(self, side, self.client, route, self.lane)
            if self._touch.holds(now):
                return
        self._attempt(now)

    def request_body(self, piece: bytes) -> None:
        """A piece of the request's body has come."""
        self.quiet_ticks = 0
        self.body.add(piece, self._way)
        if self._way is None and self.body.is_large:
            self.client.hold()

    def request_complete(self, trailers: tuple[bytes, ...]) -> None:
        """The request's body is complete; the time limits begin now, as Envoy's do."""
        self.body.finish(trailers, self._way)
        if self.route is not None:
            self._complete_at = now = self._side.clock.monotonic()
            self._side.watch_request(self, self.route.timeout.per_request_s, now)
            if self._endpoint is not None:
                self._side.watch_try(self, self.route.rule.per_try_s, now)
        if self._touch is not None:
            self._touch.request_complete()

    def connected(self, way: "Way") -> None:
        """There is a way for the present attempt."""
        self._way = way
        way.serve(self, self._caller)
        if self.body is not NO_BODY:
            self.body.send(way)
            self.client.resume()

    # the answer's way

    def response_head(self, status: int, lines: list[bytes], length: bytes | None, bodiless: bool, retry_after: bytes) -> None:
        """The endpoint answers: try again, or pass it on."""
        assert self.route is not None
        if status >= 500:
            self._report(result_of(status))
        elif self.head.grpc:
            if bodiless:
                self._report_grpc()
        elif self._endpoint is not None and self._endpoint.plain:
            self._endpoint.failures = 0  # the way of nearly all requests
        else:
            self._report(Result.SUCCEEDED)
        rule = self.route.rule
        outcome = self.grpc_status if self.grpc_status > 0 else status
        if outcome in rule.statuses and self._try_again(outcome, retry_after, status):
            return
        if rule.per_try_s:
            self._side.unwatch_try(self, rule.per_try_s)
        self.status, self._answered = status, True
        client = self.client
        if self._touch is not None:
            lines = self._touch.edited(lines)
        client.answer(status, lines, length, bodiless)
        if client.congested and self._way is not None:
            self._way.hold()

    def invited(self) -> None:
        """The endpoint wants the body that the client holds back."""
        if self.head.expects_continue and not self._invited:
            self._invited = True
            self.client.invite()

    def response_body(self, piece: bytes) -> None:
        """A piece of the response's body has come."""
        self.quiet_ticks = 0
        self.client.answer_body(piece)

    def response_complete(self, trailers: tuple[bytes, ...]) -> None:
        """The response is complete."""
        self._way = None
        if trailers and self.head.grpc:
            self._report_grpc()
        self.client.answer_end(trailers)
        self._end_attempt(self.status, "", "")
        self._finish()

    def hold_response(self) -> None:
        """The client reads more slowly than the endpoint writes."""
        if self._way is not None:
            self._way.hold()

    def resume_response(self) -> None:
        """The client reads again."""
        if self._way is not None:
            self._way.resume()

    # what can go wrong

    def attempt_failed(self, failure: Failure) -> None:
        """The present attempt brought no answer, or not all of it."""
        self._way = None
        self._report(Result.UNANSWERED)
        if self._answered:
            self._break_off(rescue.UNANSWERED[failure])
        elif not self._try_again(failure):
            self._rescue(rescue.UNANSWERED[failure])

    def try_expired(self) -> None:
        """The time of the present attempt is over."""
        self._drop_attempt()
        self.attempt_failed(Failure.TIMEOUT)

    def request_expired(self) -> None:
        """The time of the whole request is over."""
        self._give_up(rescue.TIMED_OUT)

    def fell_silent(self) -> None:
        """Nothing has moved for the route's idle time."""
        self._give_up(rescue.WENT_SILENT if self.body.complete else rescue.REQUEST_WENT_SILENT)

    def refuse(self, why: Rescue) -> None:
        """The rest of the request cannot be taken."""
        self._drop_attempt(Result.ABANDONED)
        self._break_off(why) if self._answered else self._rescue(why)

    def client_gone(self) -> None:
        """Nobody waits for the answer any more."""
        self._drop_attempt()
        if self.status == 101:  # as good an end as any
            self._end_attempt(101, "", "")
            self._finish(whole=False)
            return
        self._report(Result.ABANDONED)
        self._break_off(rescue.CLIENT_GONE)

    @property
    def idle_s(self) -> float:
        """After how many seconds without movement the request is given up; 0 for never."""
        return self.route.timeout.idle_s if self.route is not None else 0.0

    # the steps

    def _attempt(self, now: float) -> None:
        assert self.route is not None
        assert self.lane is not None
        self.attempt_at, self._attempting = now, True
        self.attempts += 1
        self._side.counts.attempts += 1
        self._caller = self.trace.begin_attempt() if self.trace is not None else passed_on(self.head)
        if self.client.peer is not None:
            self._caller += self.client.peer.introduction
        target = self.lane.target
        endpoint = self._endpoint = target.admit(now, self._tried, self._touch.key if self._touch is not None else None)
        if endpoint is None:
            self._rescue(rescue.NO_HEALTHY_UPSTREAM)
            return
        pool = self.pool = target.pools[endpoint.address]
        if self.route.rule.per_try_s and self.body.complete:
            self._side.watch_try(self, self.route.rule.per_try_s, now)
        if not pool.serve(self):
            self._report(Result.ABANDONED)
            self._rescue(rescue.OVERFLOW)

    def _try_again(self, outcome: int | Failure, retry_after: bytes = b"", status: int = 0) -> bool:
        """Plan another attempt if the policy, the budget, the body and the time allow it; else note the further flag."""
        assert self.lane is not None
        assert self._endpoint is not None
        rule = self.route.rule if self.route is not None else NO_RETRIES
        target = self.lane.target
        verdict = judge(rule, outcome, retries=self.attempts - 1, within_budget=target.may_retry or self._retrying)
        if verdict is not Verdict.RETRY:
            self.flags = rescue.FURTHER_FLAG.get(verdict, "")
            return False
        wait = max(backoff_s(self.attempts, self._side.random.random()), float(retry_after) if retry_after.isdigit() else 0.0)
        if not self.body.replayable or wait >= self._time_left():
            return False
        self._tried = (*self._tried, self._endpoint.address)
        if self._way is not None:
            self._way.let_go()
            self._way = None
        if isinstance(outcome, Failure):
            why = rescue.UNANSWERED[outcome]
            self._end_attempt(0, why.flag, why.error)
        else:
            self._end_attempt(status, "", "")
            self.grpc_status = NO_STATUS
        self._retrying = True
        target.active_retries += 1
        self._side.counts.retries += 1
        self.later(wait, self.go_on)
        return True

    def later(self, wait_s: float, then: Callable[[], None]) -> None:
        """Do something after a while, unless the request is over before."""
        self._backoff = asyncio.get_running_loop().call_later(wait_s, then)

    def go_on(self) -> None:
        """The wait is over: attempt."""
        self._backoff = None
        self._attempt(self._side.clock.monotonic())

    def _time_left(self) -> float:
        limit = self.route.timeout.per_request_s if self.route is not None else 0.0
        if not limit or not self.body.complete:
            return float("inf")
        return limit - (self._side.clock.monotonic() - self._complete_at)

    def _give_up(self, why: Rescue) -> None:
        self._drop_attempt(Result.UNANSWERED)
        self._break_off(why) if self._answered else self._rescue(why)

    def _rescue(self, why: Rescue) -> None:
        """Answer in the upstream's place."""
        self._end_attempt(0, why.flag, why.error)
        self.flags = rescue.joined(why.flag, self.flags)
        self.status = why.status
        self.client.reply(why)
        self._finish()

    def _break_off(self, why: Rescue) -> None:
        """The answer cannot be completed any more (or nobody wants it): the connection or the stream tells."""
        self._end_attempt(self.status, why.flag, why.error)
        self.flags = rescue.joined(why.flag, self.flags)
        self._finish(whole=False)

    def _report_grpc(self) -> None:
        """Tell what a gRPC status says of the endpoint; it comes with the trailers, when the answer has long begun."""
        self._report(result_of(grpc_status.as_http(max(self.grpc_status, 0))), late=True)

    def _report(self, result: Result, *, late: bool = False) -> None:
        if self._endpoint is not None and (late or not self._answered):
            assert self.lane is not None
            trace_id = self.trace.trace_id if self.trace is not None else b""
            self.lane.target.report(self._endpoint, result, self._side.clock.monotonic(), trace_id)

    def _drop_attempt(self, result: Result | None = None) -> None:
        """Leave the present attempt, wherever it is, and report what became of it."""
        if self._backoff is not None:
            self._backoff.cancel()
            self._backoff = None
        if self._way is not None:
            self._way.close()
            self._way = None
        elif self.pool is not None:
            self.pool.forget(self)
        if result is not None:
            self._report(result)

    def _end_attempt(self, status: int, flag: str, error: str) -> None:
        """Close the books of the present attempt, if there is one."""
        if not self._attempting:
            return
        assert self.lane is not None
        assert self.route is not None
        self._attempting = False
        self._end_retry()
        if self.route.rule.per_try_s:
            self._side.unwatch_try(self, self.route.rule.per_try_s)
        if self.trace is not None:
            at = self.pool.span_attributes if self.pool is not None else b""
            now = self._side.clock.monotonic()
            self.trace.end_attempt(
                self.lane.spans, (self.attempt_at, now), status, flag, error, self.attempts - 1, at, self.grpc_status
            )
        self._endpoint = self.pool = None

    def _end_retry(self) -> None:
        """Give the retry back to the target's budget."""
        if self._retrying and self.lane is not None:
            self._retrying = False
            self.lane.target.active_retries -= 1

    def _finish(self, *, whole: bool = True) -> None:
        """Close the books of the request, and make way for the connection's next one."""
        self.finished = True
        side, client, now = self._side, self.client, self._side.clock.monotonic()
        hundreds = self.status // 100 if self.status < 600 else 0
        if self.route is not None and self.lane is not None:
            self.lane.signals.done(hundreds, now - self.started)
            self.lane.target.active -= 1
            self._end_retry()
            side.unwatch_request(self, self.route.timeout.per_request_s)
        if self._touch is not None:
            self.flags = self._touch.ended(self.flags, self.status)
        side.counts.statuses[hundreds] += 1
        if self.flags:
            side.counts.flags[self.flags] += 1
        if self.trace is not None:
            spans = self.lane.spans if self.lane is not None else side.routes.unrouted
            times, more = (self.started, now), client.span_attributes(self.head.host)
            self.trace.end(spans, times, self.status, self.flags, more, self.grpc_status)
        if whole:
            client.done()
        else:
            client.abort()
