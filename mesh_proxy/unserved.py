"""What the mesh model understands and this proxy does not serve yet: refused by name, never ignored."""

from collections.abc import Callable

from core.faults import Fault
from mesh_model.matches import Match
from mesh_model.table import RouteEntry, RouteTable


class NotServedYet(Fault):
    """The mesh asks this proxy for what it cannot do yet."""

    code = "not_served_yet"


def _protocols(table: RouteTable) -> set[str]:
    """Return what is spoken by the listeners and the targets of a proxy."""
    return {each.protocol for each in table.ingress} | {each.protocol for each in table.targets}


def _entries(table: RouteTable) -> list[RouteEntry]:
    hosts = [*table.egress, *(host for each in table.ingress for host in each.hosts)]
    return [route for host in hosts for route in (*host.routes, *host.tcp)]


def _more_than_a_prefix(entry: RouteEntry) -> bool:
    return entry.match.path.kind != "prefix" or entry.match != Match(entry.match.path)


_NOT_YET: tuple[tuple[str, Callable[[RouteTable], bool]], ...] = (
    ("more than one listener of one virtual node or gateway", lambda table: len(table.ingress) > 1),
    ("matching by anything but a prefix", lambda table: any(_more_than_a_prefix(each) for each in _entries(table))),
    ("the routes of a gateway", lambda table: any(each.application is None for each in table.ingress)),
    ("the protocol http2", lambda table: "http2" in _protocols(table)),
    ("the protocol grpc", lambda table: "grpc" in _protocols(table)),
    ("the protocol tcp", lambda table: "tcp" in _protocols(table)),
    ("healthCheck of a target", lambda table: any(each.health_check for each in table.targets)),
    ("logging.accessLog", lambda table: table.access_log is not None),
)


def refuse_unserved(table: RouteTable) -> RouteTable:
    """Return the table if all of it can be served. Raises NotServedYet with everything that cannot."""
    found = [what for what, asked in _NOT_YET if asked(table)]
    if found:
        told = "\n".join(f"  {what}" for what in found)
        raise NotServedYet(f"the mesh asks the proxy of `{table.virtual_node}` for what it does not serve yet:\n{told}")
    return table
