"""What the mesh model understands and this proxy does not serve yet: refused by name, never ignored."""

from collections.abc import Collection

from core.faults import Fault
from mesh_model.table import RouteTable


class NotServedYet(Fault):
    """The mesh asks this proxy for what it cannot do yet."""

    code = "not_served_yet"


def refuse_unserved(table: RouteTable, further: Collection[int] = ()) -> RouteTable:
    """Return the table if all of it can be served, with listeners at the ``further`` ports. Raises NotServedYet with the rest."""
    found = [
        f"the listener at {each.port}: a further listener needs a port of the proxy's, such as --listener {each.port}=15002"
        for each in table.ingress[1:]
        if each.port not in further
    ]
    if found:
        told = "\n".join(f"  {what}" for what in found)
        raise NotServedYet(f"the mesh asks the proxy of `{table.virtual_node}` for what it does not serve yet:\n{told}")
    return table
