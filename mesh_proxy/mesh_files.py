"""From the mesh files on disk to the route table of one proxy."""

from collections.abc import Collection
from pathlib import Path

from core.faults import Fault
from mesh_model.compile import compile_table
from mesh_model.gateways import compile_gateway
from mesh_model.meshfile import load_meshes
from mesh_model.table import RouteTable
from mesh_proxy.unserved import refuse_unserved

ENDINGS = (".yaml", ".yml", ".json")


class MeshFileUnreadable(Fault):
    """The mesh file is not there, or may not be read."""

    code = "mesh_file_unreadable"


def read_table(mesh_file: Path, name: str, *, gateway: bool = False, further: Collection[int] = ()) -> RouteTable:
    """Return the route table of the virtual node (or gateway) ``name``; ``mesh_file`` may be a folder of them.

    ``further`` are the ports of the listeners that can be served beside the first.

    Raises MeshFileError, UnknownVirtualNode, UnknownVirtualGateway, NotServedYet or MeshFileUnreadable.
    """
    mesh = load_meshes([(str(path), _text(path)) for path in _files(mesh_file)])
    return refuse_unserved(compile_gateway(mesh, name) if gateway else compile_table(mesh, name), further)


def _files(mesh_file: Path) -> list[Path]:
    """Return the file, or the mesh files in the folder by their names."""
    if not mesh_file.is_dir():
        return [mesh_file]
    try:
        found = sorted(path for path in mesh_file.iterdir() if path.suffix in ENDINGS and path.is_file())
    except OSError as error:
        raise MeshFileUnreadable(f"the folder {mesh_file} cannot be read: {error}") from error
    if not found:
        endings = ", ".join(f"*{ending}" for ending in ENDINGS)
        raise MeshFileUnreadable(f"the folder {mesh_file} has no mesh file; expected {endings} in it")
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MeshFileUnreadable(f"the mesh file {path} cannot be read: {error}") from error
