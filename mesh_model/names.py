"""Whether the names in a mesh lead somewhere: what is referred to must be there, once."""

from collections.abc import Iterator

from mesh_model.document import Cursor
from mesh_model.parts import KINDS, PARENTS, Part, Parts
from mesh_model.resources import Mesh

_ROUTE_KINDS = ("httpRoute", "http2Route", "grpcRoute", "tcpRoute")


def name_of(at: Cursor | None) -> str:
    """Return the name that stands there; empty for none."""
    return at.text() if at else ""


def check_names(parts: Parts, mesh: Mesh) -> None:
    """Note names given twice, names that lead nowhere, ports nobody listens on, and resources of other meshes."""
    known = {collection: _names_in(parts, collection) for collection in KINDS if collection not in PARENTS}
    for collection in PARENTS:
        _check_children(parts, collection, known)
    for collection, name_at in _references(parts):
        if name_at.text() not in known[collection]:
            kind = KINDS[collection].word
            there = ", ".join(f"`{name}`" for name in known[collection]) or "none is declared"
            name_at.complain(f"there is no {kind} `{name_at.text()}`", f"one of the {kind}s ({there})")
    for target in _targets(parts):
        _check_port(target, mesh)
    for part in (part for found in parts.of.values() for part in found):
        at = part.at.child("meshName")
        if at and at.text() != mesh.name:
            at.complain(f"it belongs to the mesh `{at.text()}`", f"resources of `{mesh.name}` only")


def _names_in(parts: Parts, collection: str) -> list[str]:
    kind = KINDS[collection]
    names: list[str] = []
    for part in parts.of[collection]:
        name_at = part.at.child(kind.name_field)
        if name_at and name_at.text() in names:
            name_at.complain(f"a {kind.word} `{name_at.text()}` was declared before", f"each {kind.word} once")
        elif name_at:
            names.append(name_at.text())
    return names


def _check_children(parts: Parts, collection: str, known: dict[str, list[str]]) -> None:
    """Note routes whose router or gateway is not there, and names given twice within one."""
    outer, kind = KINDS[PARENTS[collection]], KINDS[collection]
    seen: set[tuple[str, str]] = set()
    for part in parts.of[collection]:
        parent, name_at = name_of(part.parent), part.at.child(kind.name_field)
        if parent not in known[PARENTS[collection]]:
            there = ", ".join(f"`{name}`" for name in known[PARENTS[collection]]) or "none is declared"
            at = part.parent or part.at
            at.complain(f"there is no {outer.word} `{parent}`", f"`{outer.name_field}` with one of the {outer.word}s ({there})")
        if name_at and (parent, name_at.text()) in seen:
            name_at.complain(f"a {kind.word} `{name_at.text()}` was declared before", f"each {kind.word} once")
        seen.add((parent, name_of(name_at)))


def _references(parts: Parts) -> Iterator[tuple[str, Cursor]]:
    """Yield every place that names another resource, with the collection it must be in."""
    for collection, at in _places(parts):
        if at is not None:
            yield collection, at


def _places(parts: Parts) -> Iterator[tuple[str, Cursor | None]]:
    for service in parts.of["virtualServices"]:
        yield "virtualNodes", inside(service.at, "spec", "provider", "virtualNode", "virtualNodeName")
        yield "virtualRouters", inside(service.at, "spec", "provider", "virtualRouter", "virtualRouterName")
    for target in _targets(parts):
        yield "virtualNodes", target.child("virtualNode")
    for node in parts.of["virtualNodes"]:
        backends = inside(node.at, "spec", "backends")
        for backend in backends.items() if backends else ():
            yield "virtualServices", inside(backend, "virtualService", "virtualServiceName")
    for route, kind in _of_kinds(parts.of["gatewayRoutes"]):
        yield "virtualServices", inside(route, "spec", kind, "action", "target", "virtualService", "virtualServiceName")


def _targets(parts: Parts) -> Iterator[Cursor]:
    for route, kind in _of_kinds(parts.of["routes"]):
        targets = inside(route, "spec", kind, "action", "weightedTargets")
        yield from targets.items() if targets else ()


def _of_kinds(found: list[Part]) -> Iterator[tuple[Cursor, str]]:
    for part in found:
        for kind in _ROUTE_KINDS:
            yield part.at, kind


def _check_port(target: Cursor, mesh: Mesh) -> None:
    """Note the port of a target that its node does not listen on."""
    port, node = target.child("port"), mesh.node(name_of(target.child("virtualNode")))
    if port is None or node is None:
        return
    number = port.whole(1, 65535)
    if all(listener.port != number for listener in node.listeners):
        there = ", ".join(str(listener.port) for listener in node.listeners) or "it has no listener"
        port.complain(f"the virtual node `{node.name}` does not listen on {number}", f"one of its ports ({there})")


def inside(at: Cursor, *names: str) -> Cursor | None:
    """Follow field names down a document whose shape is known to be right."""
    here: Cursor | None = at
    for name in names:
        here = here.child(name) if here else None
    return here
