"""The companion proxy, put together: two sides, their targets, telemetry, and the mesh file they all follow."""

import asyncio
import logging
import socket
from random import Random

from core.clock import Clock, SystemClock
from core.faults import Fault
from mesh_model.table import RouteTable, Target
from mesh_model.tls import ListenerTls
from mesh_proxy.access.guard import Guard
from mesh_proxy.access.guards import guard_of
from mesh_proxy.discovery.keeping import Discovery
from mesh_proxy.downstream.doors import Door
from mesh_proxy.mesh_files import read_table
from mesh_proxy.routing.beyond import Beyond
from mesh_proxy.routing.routes import INBOUND, LiveRoutes, LiveTable, bind
from mesh_proxy.settings import ProxySettings, door_of
from mesh_proxy.side import Side, TrafficLimits
from mesh_proxy.targets.circuit import Change
from mesh_proxy.targets.target import LiveTarget
from mesh_proxy.telemetry.access_log import AccessLog
from mesh_proxy.telemetry.delivery import Telemetry
from mesh_proxy.telemetry.events import MeshEvent
from mesh_proxy.telemetry.otlp_client import OtlpClient
from mesh_proxy.tls.ends import ServerEnd
from mesh_proxy.tls.keyring import Keyring

TICK_S = 0.1
TICKS_A_SECOND = 10
FLUSH_S = 2.0
DRAIN_LOOK_S = 0.02
log = logging.getLogger(__name__)


class Proxy:
    """Stands beside one virtual node. ``start`` it, ``reload`` it whenever the mesh file changes, ``stop`` it gracefully."""

    def __init__(self, settings: ProxySettings, clock: Clock | None = None, random: Random | None = None) -> None:
        self.settings = settings
        self._clock = clock or SystemClock()
        self._random = random or Random()
        table = self._read_table()
        client = OtlpClient(settings.otlp_endpoint) if settings.otlp_endpoint else None
        self.telemetry = Telemetry(client, self._resource(table), self._clock, self._random.random, share=settings.trace_share)
        self.keyring = Keyring()
        self.live: LiveTable = self._bind(table, None)
        self.ingress, self.egress = self._side(), self._side()
        self.further = {port: self._side() for port, _ in settings.listener_ports}
        self.further_ports: dict[int, int] = {}
        self.egress.beyond = self.beyond = Beyond(self._make_target, self._random.random)
        self.doors = {"ingress": Door(self.ingress), "egress": Door(self.egress)}
        self.doors |= {door_of(port): Door(side) for port, side in self.further.items()}
        self._follow(self.live, self._ingress_tls(table), guard_of(table.options, None), self._access_log(table))
        self.accepted, self.rejected = 1, 0
        self.draining = False
        self._servers: list[asyncio.Server] = []
        self.discovery = Discovery(self._clock, self._random, settings.dns_server)
        self._ticker: asyncio.TimerHandle | None = None
        self._ticks = 0

    def __repr__(self) -> str:
        return f"<Proxy {self.live.table.virtual_node} {self.ingress!r} {self.egress!r}>"

    @property
    def sides(self) -> tuple[Side, ...]:
        """Everything that takes requests."""
        return (self.ingress, *self.further.values(), self.egress)

    @property
    def service(self) -> str:
        """The service this proxy stands beside."""
        return self.live.table.service

    async def start(self) -> None:
        """Listen. Raises OSError when a port is taken."""
        self.ingress_port = await self._listen("ingress", self.settings.ingress_port)
        for listener, port in self.settings.listener_ports:
            self.further_ports[listener] = await self._listen(door_of(listener), port)
        if not self.settings.gateway:  # nobody inside calls out through a gateway
            self.egress_port = await self._listen("egress", self.settings.egress_port)
            self.beyond.own_ports = frozenset((self.egress_port, self.ingress_port, *self.further_ports.values()))
        self.telemetry.start()
        self.discovery.follow(self.live.targets)
        self._tick()
        self._tell_config("accepted", "started")

    def reload(self) -> None:
        """Follow the mesh file and the certificates as they are now.

        Raises a Fault when the mesh file, or a certificate that it newly names, cannot be used; then everything stays.
        """
        self._follow_certificates(certain=True)
        old = self.live
        try:
            table = self._read_table()
            live, tls = self._bind(table, old), self._ingress_tls(table)
            guard, access_log = guard_of(table.options, self.ingress.guard), self._access_log(table)
        except Fault as fault:
            self.rejected += 1
            log.error("the mesh file is not followed, the old one stays:\n%s", fault)
            self._tell_config("rejected", fault.code)
            raise
        self.telemetry.describe(self._resource(table))
        self._follow(live, tls, guard, access_log)
        self.discovery.follow(live.targets)
        for target in old.targets:
            if target not in live.targets:
                target.retire()
        self.accepted += 1
        self._tell_config("accepted", "reloaded")

    async def stop(self, *, gently: bool = False) -> None:
        """Take no more connections, answer the requests under way (``drain_seconds`` at most), deliver the telemetry.

        ``gently``: connections that are there take one more request each, within ``drain_seconds`` more.
        """
        self.draining = True
        for server in self._servers:
            server.close()
        if gently:
            for side in self.sides:
                side.drain(gently=True)
            await self._until_left()
        for door in self.doors.values():
            door.close()
        for side in self.sides:
            side.drain()
        await self._until_left()
        await self._close()

    async def _close(self) -> None:
        for side in self.sides:
            side.abort()
        if self._ticker is not None:
            self._ticker.cancel()
        await self.discovery.close()
        for target in self.live.targets:
            target.retire()
        self.beyond.retire()
        if self.ingress.guard is not None:
            self.ingress.guard.stop()
        await self._clock.sleep(0)
        if self.ingress.access_log is not None:
            self.ingress.access_log.close()
        await self.telemetry.stop(FLUSH_S)

    async def _until_left(self) -> None:
        until = self._clock.monotonic() + self.settings.drain_seconds
        while any(side.connections for side in self.sides) and self._clock.monotonic() < until:
            await self._clock.sleep(DRAIN_LOOK_S)

    def _read_table(self) -> RouteTable:
        settings = self.settings
        further = [port for port, _ in settings.listener_ports]
        return read_table(settings.mesh_file, settings.virtual_node, gateway=settings.gateway, further=further)

    def _side(self) -> Side:
        limits = TrafficLimits(connections=self.settings.max_connections, body_bytes=self.settings.max_body_bytes)
        return Side(self.live.ingress, telemetry=self.telemetry, clock=self._clock, random=self._random, limits=limits)

    def _bind(self, table: RouteTable, old: LiveTable | None) -> LiveTable:
        targets, effects = (old.targets, old.effects) if old is not None else ((), {})
        return bind(table, old=targets, old_effects=effects, make_target=self._make_target, chance=self._random.random)

    def _ingress_tls(self, table: RouteTable) -> dict[str, ServerEnd]:
        """Return the TLS of each door that has any. Raises CertificateUnusable."""
        sides = [("ingress", self.ingress), *((door_of(each.port), self.further[each.port]) for each in table.ingress[1:])]
        listeners = zip(sides, table.ingress, strict=False)  # a node without listeners still has an ingress
        return {name: self._server_end(name, each.tls, side) for (name, side), each in listeners if each.tls and each.tls.on}

    def _server_end(self, name: str, wanted: ListenerTls, side: Side) -> ServerEnd:
        """Return an end with TLS; one whose listener stays as it was stays too."""
        present = self.doors[name].tls
        return present if present is not None and present.spec == wanted else self.keyring.server(wanted, side.counts.refused)

    def _access_log(self, table: RouteTable) -> AccessLog | None:
        """Return the access log of all doors, if there is one; one that stays as it was stays open. Raises FormatUnknown."""
        wanted, present = table.access_log, self.ingress.access_log
        if wanted is None:
            return None
        return present if present is not None and present.spec == wanted else AccessLog(wanted, self._clock)

    def _follow(self, live: LiveTable, tls: dict[str, ServerEnd], guard: Guard | None, access_log: AccessLog | None) -> None:
        """From here on every new request follows ``live``, and every new connection of the ingress ``tls``."""
        self.live = live
        self.beyond.follow(allow_all=live.table.pass_through)
        for name, door in self.doors.items():
            door.tls = tls.get(name)
        if self.ingress.guard is not None and self.ingress.guard is not guard:
            self.ingress.guard.stop()
        self.ingress.routes, self.egress.routes = live.ingress, live.egress
        for port, side in self.further.items():
            side.routes = live.further.get(port) or LiveRoutes(INBOUND, {})  # the mesh may have lost it: nothing is routed
        for side in (self.ingress, *self.further.values()):
            side.guard = guard
        if self.ingress.access_log is not None and self.ingress.access_log is not access_log:
            self.ingress.access_log.close()
        for side in self.sides:
            side.access_log = access_log
        self.keyring.keep(end.live for end in (*tls.values(), *(target.tls for target in live.targets)) if end is not None)

    def _follow_certificates(self, *, certain: bool = False) -> None:
        for context, change in self.keyring.look(certain=certain):
            self.telemetry.tell(MeshEvent(change, self.service, target=context.name))

    def _make_target(self, spec: Target) -> LiveTarget:
        tls = self.keyring.client(spec.tls, spec.protocol) if spec.tls is not None else None
        return LiveTarget(spec, self._tell_change, random=self._random, zone=self.settings.zone, tls=tls)

    def _tell_change(self, target: LiveTarget, change: Change, trace_id: bytes) -> None:
        inside = target in self.live.applications  # the ingress does not know its callers
        event = MeshEvent(change, "" if inside else self.service, target.spec.service, target.spec.virtual_node, trace_id)
        self.telemetry.tell(event)

    def _tell_config(self, action: str, reason: str) -> None:
        self.telemetry.tell(MeshEvent(Change("mesh.config", action, reason), self.service))

    def _resource(self, table: RouteTable) -> dict[str, str]:
        return {
            "service.name": table.service,
            "service.version": table.version,
            "service.instance.id": self.settings.instance_id,
            "mesh.name": table.mesh,
            "mesh.virtual_node": table.virtual_node,
            "telemetry.sdk.name": "meshscope-proxy",
        }

    async def _listen(self, name: str, port: int) -> int:
        loop = asyncio.get_running_loop()
        given = dict(self.settings.sockets).get(name)
        if given is None:
            server = await loop.create_server(self.doors[name], self.settings.host, port, backlog=1024)
        else:
            server = await loop.create_server(self.doors[name], sock=socket.socket(fileno=given))
        self._servers.append(server)
        found = int(server.sockets[0].getsockname()[1])
        log.info("%s of %s listens on %s:%d", name, self.settings.virtual_node, self.settings.host, found)
        return found

    def _tick(self) -> None:
        self._ticker = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        now = self._clock.monotonic()
        self._ticks += 1
        every_second = self._ticks % TICKS_A_SECOND == 0
        for target in (*self.live.targets, *self.beyond.targets):
            target.tick(now)
            if every_second:
                target.close_idle()
        if every_second:
            for side in self.sides:
                side.second()
            if self.ingress.access_log is not None:
                self.ingress.access_log.second()
            self._follow_certificates()
            if self.ingress.guard is not None:
                for change in self.ingress.guard.second(now):
                    self.telemetry.tell(MeshEvent(change, "", self.service, self.live.table.virtual_node))
