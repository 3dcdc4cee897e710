"""What mesh files come to, whatever form they are written in: the mesh and its resources as cursors, each read in one way."""

from dataclasses import dataclass, field

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mesh_model.document import Cursor

TEXT_TAG = "tag:yaml.org,2002:str"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource: the field with its name, and what people call it."""

    name_field: str
    word: str


KINDS = {
    "virtualServices": Kind("virtualServiceName", "virtual service"),
    "virtualRouters": Kind("virtualRouterName", "virtual router"),
    "routes": Kind("routeName", "route"),
    "virtualNodes": Kind("virtualNodeName", "virtual node"),
    "virtualGateways": Kind("virtualGatewayName", "virtual gateway"),
    "gatewayRoutes": Kind("gatewayRouteName", "gateway route"),
}
PARENTS = {"routes": "virtualRouters", "gatewayRoutes": "virtualGateways"}


@dataclass(frozen=True, slots=True)
class Part:
    """One resource; ``parent`` is where the name of its router or gateway stands."""

    at: Cursor
    parent: Cursor | None = None


@dataclass(slots=True)
class Parts:
    """All resources that were found, in the order of files and lines, by the API's name for their collection."""

    meshes: list[Cursor] = field(default_factory=list)
    of: dict[str, list[Part]] = field(default_factory=lambda: {collection: [] for collection in KINDS})

    def add(self, collection: str, at: Cursor) -> None:
        """Take a resource. A route that stands for itself names its parent, one inside its parent need not."""
        parent = PARENTS.get(collection)
        self.of[collection].append(Part(at, at.child(KINDS[parent].name_field) if parent else None))
        for inner, outer in PARENTS.items():
            inside = at.child(inner) if outer == collection else None
            parent_name = at.child(KINDS[collection].name_field)
            self.of[inner].extend(Part(each, parent_name) for each in (inside.items(most=50) if inside else ()))


def text(value: str, like: Node) -> ScalarNode:
    """Return a text that stands where ``like`` does."""
    return ScalarNode(TEXT_TAG, value, start_mark=like.start_mark, end_mark=like.end_mark)


def mapping(pairs: list[tuple[Node, Node]], like: Node) -> MappingNode:
    """Return a mapping that stands where ``like`` does."""
    return MappingNode("tag:yaml.org,2002:map", pairs, start_mark=like.start_mark, end_mark=like.end_mark)


def listed(values: list[Node], like: Node) -> SequenceNode:
    """Return a list that stands where ``like`` does."""
    return SequenceNode("tag:yaml.org,2002:seq", values, start_mark=like.start_mark, end_mark=like.end_mark)


def member(node: Node | None, *names: str) -> Node | None:
    """Follow field names down a tree; None where they lead nowhere."""
    for name in names:
        if not isinstance(node, MappingNode):
            return None
        node = next((value for key, value in node.value if key.value == name), None)
    return node


def word(node: Node | None) -> str:
    """Return the text of a scalar; empty when it is none."""
    return str(node.value) if isinstance(node, ScalarNode) else ""
