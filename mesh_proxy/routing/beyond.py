"""Hosts that the mesh does not know: refused (DROP_ALL), or called where they say (ALLOW_ALL)."""

from collections.abc import Callable

from mesh_model.endpoints import StaticEndpoints
from mesh_model.resources import Timeout
from mesh_model.table import RouteEntry, Target
from mesh_proxy.exchange.retry import NO_RETRIES
from mesh_proxy.http.request import RequestHead
from mesh_proxy.http.wire import host_name
from mesh_proxy.routing.routes import OUTBOUND, LiveRoute, lane_of
from mesh_proxy.routing.weights import WeightedChoice
from mesh_proxy.targets.target import LiveTarget

ALWAYS_ALLOWED = ".amazonaws.com"
MOST_HOSTS = 256
UNTIMED = Timeout(per_request_s=0.0)
HTTP_PORT = 80


class Beyond:
    """Makes a route to each host when it is first asked for, and forgets those that have not been asked for the longest."""

    def __init__(self, make_target: Callable[[Target], LiveTarget], chance: Callable[[], float]) -> None:
        self._make_target, self._chance = make_target, chance
        self._routes: dict[tuple[bytes, bool], tuple[LiveRoute, LiveTarget]] = {}
        self.own_ports: frozenset[int] = frozenset()
        """What names one of these may be this very proxy: a request must not go round in circles."""
        self._allow_all = False

    def __repr__(self) -> str:
        return f"<Beyond {'ALLOW_ALL' if self._allow_all else 'DROP_ALL'} {list(self._routes)}>"

    @property
    def targets(self) -> list[LiveTarget]:
        """The hosts that are known now."""
        return [target for _, target in self._routes.values()]

    def follow(self, *, allow_all: bool) -> None:
        """From here on all hosts may be called, or only AWS's; what may not be called any more is let go."""
        self._allow_all = allow_all
        for key in [key for key in self._routes if not self._allowed(host_name(key[0]))]:
            self._routes.pop(key)[1].retire()

    def route(self, head: RequestHead) -> LiveRoute | None:
        """Return the way to the host of a request that the mesh does not know; None: it may not be called."""
        key = (head.host, head.grpc)
        known = self._routes.pop(key, None)
        if known is None:
            target = self._target(head)
            if target is None or not self._has_room():
                return None
            entry = RouteEntry("pass-through", "", (), timeout=UNTIMED)
            lanes = WeightedChoice([lane_of(OUTBOUND, entry, target)], [1], self._chance)
            known = LiveRoute(entry, b"/", lanes, NO_RETRIES, UNTIMED), target
        self._routes[key] = known  # the last asked for is the last forgotten
        return known[0]

    def retire(self) -> None:
        """Let go of all hosts."""
        for target in self.targets:
            target.retire()
        self._routes.clear()

    def _target(self, head: RequestHead) -> LiveTarget | None:
        authority = head.host.decode("latin-1").lower()
        host = host_name(head.host)
        port = authority.removeprefix(host).removeprefix(":") or str(HTTP_PORT)
        if (
            not host
            or not self._allowed(host)
            or not port.isdecimal()
            or not 0 < int(port) < 65536
            or int(port) in self.own_ports
        ):
            return None
        place = StaticEndpoints.of(f"{host}:{port}")
        return self._make_target(Target(authority, "", host, "", place, int(port), "grpc" if head.grpc else "http"))

    def _allowed(self, host: str) -> bool:
        return self._allow_all or host.endswith(ALWAYS_ALLOWED)

    def _has_room(self) -> bool:
        """Forget a host that nobody is at, if there are many."""
        if len(self._routes) < MOST_HOSTS:
            return True
        for key, (_, target) in self._routes.items():
            if not target.active:
                del self._routes[key]
                target.retire()
                return True
        return False
