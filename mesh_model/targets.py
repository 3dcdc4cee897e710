"""The targets of one proxy: which listeners it calls, where they are found, and how."""

from dataclasses import replace

from core.faults import Fault
from mesh_model.endpoints import CloudMap, Discovery, Dns, StaticEndpoints
from mesh_model.resources import Listener, Mesh, Route, VirtualNode, VirtualService, WeightedTarget
from mesh_model.route_policies import route_policy_of
from mesh_model.table import Choice, Target
from mesh_model.tls import ClientTls, originate


class UnknownMirror(Fault):
    """Requests are to be mirrored to a virtual node that the mesh does not have."""

    code = "unknown_mirror"


class Targets:
    """The listeners of virtual nodes that one proxy calls, each under a name of its own."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._by_name: dict[str, Target] = {}

    @property
    def named(self) -> tuple[Target, ...]:
        """All that were asked for, in the order of the mesh's nodes."""
        order = {node.name: place for place, node in enumerate(self._mesh.virtual_nodes)}
        return tuple(sorted(self._by_name.values(), key=lambda target: order[target.virtual_node]))

    def choices(self, route: Route, service: str, policy: ClientTls | None) -> tuple[Choice, ...]:
        """Return the targets of a route of ``service`` that get requests; ``policy`` is the caller's for that service."""
        return tuple(
            Choice(self._name(target, route, service, policy), target.weight) for target in route.targets if target.weight
        )

    def mirror(self, route: Route, service: VirtualService, policy: ClientTls | None) -> str:
        """Return the target that gets a copy of the route's requests; empty for none. Raises UnknownMirror."""
        mirror = route_policy_of(service.options.under(route.options)).mirror
        if mirror is None or route.protocol == "tcp":
            return ""
        if self._mesh.node(mirror.virtual_node) is None:
            raise UnknownMirror(
                f"the route `{route.name}` of `{service.name}` has the tag `meshscope/mirror: {mirror.virtual_node}`, "
                f"but the mesh `{self._mesh.name}` has no such virtual node"
            )
        return self._name(WeightedTarget(mirror.virtual_node, 1), route, service.name, policy)

    def _name(self, weighted: WeightedTarget, route: Route, service: str, policy: ClientTls | None) -> str:
        node = self._mesh.node(weighted.virtual_node)
        assert node is not None, "names were checked when the mesh was read"
        listener = node.listener(weighted.port, route.protocol)
        name = f"{node.name}:{listener.port}" if listener and len(node.listeners) > 1 else node.name
        target = _target(self._mesh, name, node, listener, policy)
        if self._by_name.setdefault(name, target) != target:  # the same listener, called by another policy
            name = f"{name} as {service}"
            self._by_name[name] = replace(target, name=name)
        return name


def _target(mesh: Mesh, name: str, node: VirtualNode, listener: Listener | None, policy: ClientTls | None) -> Target:
    discovery = _discovery(mesh, node, listener.port if listener else 0)
    bare = Target(name, node.name, node.service, node.version, discovery, options=node.options)
    if listener is None:
        return bare
    return replace(
        bare,
        port=listener.port,
        protocol=listener.protocol,
        outlier_detection=listener.outlier_detection,
        connection_pool=listener.connection_pool,
        health_check=listener.health_check,
        tls=originate(policy, listener.tls, listener.port, _found_as(discovery)),
    )


def _discovery(mesh: Mesh, node: VirtualNode, port: int) -> Discovery | None:
    """Return where the node is found; what it does not say of addresses, the mesh says."""
    found = node.discovery
    if isinstance(found, StaticEndpoints):
        return found.at(port)
    if isinstance(found, Dns | CloudMap) and found.ip_preference is None:
        return replace(found, ip_preference=mesh.ip_preference)
    return found


def _found_as(discovery: Discovery | None) -> tuple[str, ...]:
    """Return the names that a certificate may be asked to bear: those that service discovery finds the target by."""
    if isinstance(discovery, Dns):
        return (discovery.hostname,)
    if isinstance(discovery, CloudMap):
        return (f"{discovery.service}.{discovery.namespace}",)
    if isinstance(discovery, StaticEndpoints):
        return tuple(dict.fromkeys(address.rpartition(":")[0].strip("[]") for address in discovery.addresses))
    return ()
