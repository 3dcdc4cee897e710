"""From the text of a mesh file to a Mesh, or to one error that names everything wrong with it."""

from collections.abc import Callable
from typing import TypeVar

from core.faults import Fault
from mesh_model import reading
from mesh_model.document import Cursor, Fields, Problem, open_document
from mesh_model.resources import Mesh

Named = TypeVar("Named")
_COLLECTIONS = {
    "virtualServices": ("virtualServiceName", "virtual service"),
    "virtualRouters": ("virtualRouterName", "virtual router"),
    "virtualNodes": ("virtualNodeName", "virtual node"),
}


class MeshFileError(Fault):
    """The mesh file cannot be used; the message has one line per problem: file, line, field, what is wrong, what was expected."""

    code = "mesh_file_invalid"

    def __init__(self, file_name: str, problems: tuple[Problem, ...]) -> None:
        self.file_name, self.problems = file_name, problems
        super().__init__("\n".join(f"{file_name}:{problem.line}: {problem}" for problem in problems))


def load_mesh(text: str, file_name: str = "mesh.yaml") -> Mesh:
    """Return the mesh that ``text`` (YAML or JSON) describes. Raises MeshFileError with every problem, in line order."""
    problems: list[Problem] = []
    top = open_document(text, problems).fields("mesh", *_COLLECTIONS, later=("virtualGateways",))
    mesh = Mesh(
        name=reading.read_mesh_name(top.need("mesh", "a mapping with `meshName`")),
        virtual_services=_read_each(top, "virtualServices", reading.read_virtual_service),
        virtual_routers=_read_each(top, "virtualRouters", reading.read_virtual_router),
        virtual_nodes=_read_each(top, "virtualNodes", reading.read_virtual_node),
    )
    if not problems:  # shapes first: names can only be followed in a document whose shape is right
        _check_names(top, problems)
    if problems:
        raise MeshFileError(file_name, tuple(sorted(problems, key=lambda problem: problem.line)))
    return mesh


def _read_each(top: Fields, collection: str, read: Callable[[Cursor], Named]) -> tuple[Named, ...]:
    at = top.get(collection)
    return tuple(read(entry) for entry in at.items()) if at else ()


def _check_names(top: Fields, problems: list[Problem]) -> None:
    """Note names given twice and names that lead nowhere."""
    known = {collection: _names_of(top, collection) for collection in _COLLECTIONS}
    for collection, name_at in _references(top):
        if name_at.text() not in known[collection]:
            kind = _COLLECTIONS[collection][1]
            there = ", ".join(f"`{name}`" for name in known[collection]) or "none is declared"
            name_at.complain(f"there is no {kind} `{name_at.text()}`", f"one of the {kind}s ({there})")


def _names_of(top: Fields, collection: str) -> list[str]:
    key, kind = _COLLECTIONS[collection]
    names: list[str] = []
    for entry in _entries(top, collection):
        name_at = _inside(entry, key)
        if name_at and name_at.text() in names:
            name_at.complain(f"a {kind} `{name_at.text()}` was declared before", f"each {kind} once")
        elif name_at:
            names.append(name_at.text())
    return names


def _references(top: Fields) -> list[tuple[str, Cursor]]:
    """Return every place that names another resource, with the collection it must be in."""
    found: list[tuple[str, Cursor | None]] = []
    for service in _entries(top, "virtualServices"):
        found.append(("virtualNodes", _inside(service, "spec", "provider", "virtualNode", "virtualNodeName")))
        found.append(("virtualRouters", _inside(service, "spec", "provider", "virtualRouter", "virtualRouterName")))
    for router in _entries(top, "virtualRouters"):
        routes = _inside(router, "routes")
        for route in routes.items() if routes else []:
            targets = _inside(route, "spec", "httpRoute", "action", "weightedTargets")
            found.extend(("virtualNodes", _inside(target, "virtualNode")) for target in (targets.items() if targets else []))
    for node in _entries(top, "virtualNodes"):
        backends = _inside(node, "spec", "backends")
        for backend in backends.items() if backends else []:
            found.append(("virtualServices", _inside(backend, "virtualService", "virtualServiceName")))
    return [(collection, at) for collection, at in found if at is not None]


def _entries(top: Fields, collection: str) -> list[Cursor]:
    at = top.get(collection)
    return at.items() if at else []


def _inside(at: Cursor, *names: str) -> Cursor | None:
    """Follow field names down a document whose shape is known to be right."""
    here: Cursor | None = at
    for name in names:
        here = here.child(name) if here else None
    return here
