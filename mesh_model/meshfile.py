"""From the texts of mesh files to a Mesh, or to one error that names everything wrong with them."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from core.faults import Fault
from mesh_model import form_cloudformation, form_kubernetes, reading
from mesh_model.document import Cursor, Problem, Source, compose
from mesh_model.names import check_names, name_of
from mesh_model.parts import KINDS, Part, Parts
from mesh_model.reading_routes import read_gateway_route, read_route
from mesh_model.resources import Mesh

Named = TypeVar("Named")
_MESH = "a mapping with `meshName`"


class MeshFileError(Fault):
    """The mesh files cannot be used; one line per problem: file, line, field, what is wrong, what was expected."""

    code = "mesh_file_invalid"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{problem.file}:{problem.line}: {problem}" for problem in problems))


def load_mesh(text: str, file_name: str = "mesh.yaml") -> Mesh:
    """Return the mesh that one ``text`` describes. Raises MeshFileError with every problem, in line order."""
    return load_meshes([(file_name, text)])


def load_meshes(files: Iterable[tuple[str, str]]) -> Mesh:
    """Return the mesh that several files (name, text) describe together, in App Mesh's, CloudFormation's or Kubernetes' form.

    Raises MeshFileError with every problem, in the order of files and lines.
    """
    every = list(files)
    problems: list[Problem] = []
    parts = gather(every, problems)
    mesh = _read(parts, problems, every[0][0] if every else "")
    if not problems:  # shapes first: names can only be followed in documents whose shape is right
        check_names(parts, mesh)
    if problems:
        order = {name: place for place, (name, _) in enumerate(every)}
        in_order = sorted(problems, key=lambda problem: (order.get(problem.file, 0), problem.line))
        raise MeshFileError(tuple(dict.fromkeys(in_order)))
    return mesh


def gather(files: Iterable[tuple[str, str]], problems: list[Problem]) -> Parts:
    """Return the resources of all files, each document by the form it is written in."""
    parts, manifests = Parts(), []
    for name, text in files:
        for root in compose(text, problems, name):
            if form_kubernetes.is_manifest(root):
                manifests.append((root, name))
            elif form_cloudformation.is_template(root):
                form_cloudformation.gather(root, name, problems, parts)
            else:
                _gather_plain(Cursor(root, "", Source(problems, name)), parts)
    form_kubernetes.gather(manifests, problems, parts)
    return parts


def _gather_plain(root: Cursor, parts: Parts) -> None:
    fields = root.fields("mesh", *KINDS)
    if mesh := fields.get("mesh"):
        parts.meshes.append(mesh)
    for collection in KINDS:
        at = fields.get(collection)
        for entry in at.items() if at else ():
            parts.add(collection, entry)


def _read(parts: Parts, problems: list[Problem], first_file: str) -> Mesh:
    mesh = _read_mesh(parts, problems, first_file)
    routes = _by_parent(parts.of["routes"], read_route)
    gateway_routes = _by_parent(parts.of["gatewayRoutes"], read_gateway_route)
    routers = [reading.read_virtual_router(part.at) for part in parts.of["virtualRouters"]]
    gateways = [reading.read_virtual_gateway(part.at) for part in parts.of["virtualGateways"]]
    return replace(
        mesh,
        virtual_services=tuple(reading.read_virtual_service(part.at) for part in parts.of["virtualServices"]),
        virtual_routers=tuple(replace(router, routes=tuple(routes.get(router.name, ()))) for router in routers),
        virtual_nodes=tuple(reading.read_virtual_node(part.at) for part in parts.of["virtualNodes"]),
        virtual_gateways=tuple(replace(gateway, routes=tuple(gateway_routes.get(gateway.name, ()))) for gateway in gateways),
    )


def _read_mesh(parts: Parts, problems: list[Problem], first_file: str) -> Mesh:
    """Read the mesh itself; a file without one may name it on its resources, as templates of a part of a mesh do."""
    for again in parts.meshes[1:]:
        again.complain("a mesh was declared before", "one mesh in all files")
    if parts.meshes:
        return reading.read_mesh(parts.meshes[0])
    named = [at for found in parts.of.values() for part in found if (at := part.at.child("meshName"))]
    if named:
        return Mesh(named[0].text())
    if not problems:
        problems.append(Problem(1, "mesh", "`mesh` is missing", _MESH, first_file))
    return Mesh("")


def _by_parent(found: list[Part], read: Callable[[Cursor], Named]) -> dict[str, list[Named]]:
    """Return what was read, by the name of the router or gateway that it belongs to."""
    children: dict[str, list[Named]] = {}
    for part in found:
        children.setdefault(name_of(part.parent), []).append(read(part.at))
    return children
