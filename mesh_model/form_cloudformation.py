"""CloudFormation templates: ``AWS::AppMesh::*`` resources, and what their intrinsic functions come to within the template."""

import re
from collections.abc import Iterable, Iterator

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mesh_model.document import Cursor, Form, Problem, Source, Unreadable
from mesh_model.parts import TEXT_TAG, Parts, mapping, member, text, word

_PREFIX = "AWS::AppMesh::"
_COLLECTIONS = {
    "VirtualService": ("virtualServices", "VirtualServiceName"),
    "VirtualRouter": ("virtualRouters", "VirtualRouterName"),
    "Route": ("routes", "RouteName"),
    "VirtualNode": ("virtualNodes", "VirtualNodeName"),
    "VirtualGateway": ("virtualGateways", "VirtualGatewayName"),
    "GatewayRoute": ("gatewayRoutes", "GatewayRouteName"),
    "Mesh": ("", "MeshName"),
}
_IN_CAPITALS = {
    "AWSCloudMap": "awsCloudMap",
    "DNS": "dns",
    "TLS": "tls",
    "HTTP": "http",
    "HTTP2": "http2",
    "GRPC": "grpc",
    "TCP": "tcp",
    "ACM": "acm",
    "SDS": "sds",
}
_SUBSTITUTED = re.compile(r"\$\{(!?)([^}]*)\}")
_DEEPEST = 10
_HERE = "the value itself, or a Ref, Fn::GetAtt or Fn::Sub to an App Mesh resource or a parameter with a Default of this template"


def is_template(root: Node) -> bool:
    """Tell whether a document is a CloudFormation template."""
    return member(root, "Resources") is not None


def gather(root: Node, file: str, problems: list[Problem], parts: Parts) -> None:
    """Add the App Mesh resources of a template; others are no business of ours."""
    source = Source(problems, file, Template(root))
    resources = member(root, "Resources")
    for key, resource in resources.value if isinstance(resources, MappingNode) else ():
        kind = word(member(resource, "Type"))
        if kind.startswith(_PREFIX):
            _gather_one(str(key.value), kind.removeprefix(_PREFIX), resource, source, parts)


def _gather_one(logical_id: str, kind: str, resource: Node, source: Source, parts: Parts) -> None:
    at = Cursor(resource, f"Resources.{logical_id}", source)
    if kind not in _COLLECTIONS:
        at.complain(f"there is no `{_PREFIX}{kind}`", "one of " + ", ".join(f"`{_PREFIX}{each}`" for each in _COLLECTIONS))
        return
    if member(resource, "Condition") is not None:
        at.complain("it depends on a condition, and conditions are not evaluated", "a resource without `Condition`")
    collection, name_key = _COLLECTIONS[kind]
    properties = member(resource, "Properties") or mapping([], resource)
    if isinstance(properties, MappingNode) and member(properties, name_key) is None:
        properties = mapping([*properties.value, (text(name_key, properties), text(logical_id, resource))], properties)
    inner = Cursor(properties, f"Resources.{logical_id}.Properties", source)
    parts.add(collection, inner) if collection else parts.meshes.append(inner)


class Template(Form):
    """One template: its resources and parameters, by which its functions are resolved."""

    def __init__(self, root: Node) -> None:
        self._resources, self._parameters = _by_key(member(root, "Resources")), _by_key(member(root, "Parameters"))

    def entries(self, node: MappingNode) -> Iterable[tuple[str, Node, Node]]:
        """Yield the fields of a mapping; CloudFormation writes them in PascalCase."""
        for key, value in node.value:
            written = str(key.value)
            yield _IN_CAPITALS.get(written) or (written[:1].lower() + written[1:] if written[:1].isupper() else ""), key, value

    def value(self, node: Node) -> Node:
        """Return what stands here when functions are resolved. Raises Unreadable."""
        return self._resolved(node, 0)

    def _resolved(self, node: Node, depth: int) -> Node:
        function, argument = _function(node)
        if not function:
            return node
        if depth > _DEEPEST:
            raise Unreadable("references lead in a circle", _HERE)
        if function == "Ref":
            return self._named(word(argument), node, depth)
        if function == "GetAtt":
            given = argument.value if isinstance(argument, SequenceNode) else word(argument).split(".", 1)
            owner, attribute = [each if isinstance(each, str) else word(each) for each in [*given, "", ""][:2]]
            return self._attribute(owner, attribute, node, depth)
        if function == "Sub":
            return self._substituted(argument, node, depth)
        raise Unreadable(f"`{function}` cannot be evaluated here", _HERE)

    def _named(self, name: str, at: Node, depth: int) -> Node:
        parameter = self._parameters.get(name)
        if parameter is not None:
            default = member(parameter, "Default")
            if not isinstance(default, ScalarNode):
                raise Unreadable(f"the parameter `{name}` has no `Default`", _HERE)
            kind = "tag:yaml.org,2002:int" if word(member(parameter, "Type")) == "Number" else TEXT_TAG
            return ScalarNode(kind, default.value, start_mark=at.start_mark, end_mark=at.end_mark)
        _, name_key = _COLLECTIONS.get(self._kind_of(name), ("", ""))
        if not name_key:
            raise Unreadable(f"`{name}` is no App Mesh resource of this template", _HERE)
        return self._attribute(name, name_key, at, depth)

    def _attribute(self, owner: str, attribute: str, at: Node, depth: int) -> Node:
        kind = self._kind_of(owner)
        if kind not in _COLLECTIONS:
            raise Unreadable(f"`{owner}` is no App Mesh resource of this template", _HERE)
        found = member(self._resources[owner], "Properties", attribute)
        if found is not None and attribute.endswith("Name"):
            return text(word(self._resolved(found, depth + 1)), at)
        if attribute == _COLLECTIONS[kind][1]:
            return text(owner, at)  # without a name of its own a resource is called by its logical id here
        raise Unreadable(f"`{owner}.{attribute}` is known to AWS only", _HERE)

    def _substituted(self, argument: Node | None, at: Node, depth: int) -> Node:
        pattern, given = argument, {}
        if isinstance(argument, SequenceNode) and len(argument.value) == 2:
            pattern, given = argument.value[0], _by_key(argument.value[1])

        def replacement(found: re.Match[str]) -> str:
            literal, name = found.group(1), found.group(2).strip()
            if literal:
                return f"${{{name}}}"
            if name in given:
                return word(self._resolved(given[name], depth + 1))
            owner, dot, attribute = name.partition(".")
            return word(self._attribute(owner, attribute, at, depth) if dot else self._named(name, at, depth))

        return text(_SUBSTITUTED.sub(replacement, word(pattern)), at)

    def _kind_of(self, logical_id: str) -> str:
        kind = word(member(self._resources.get(logical_id), "Type"))
        return kind.removeprefix(_PREFIX) if kind.startswith(_PREFIX) else ""


def _function(node: Node) -> tuple[str, Node | None]:
    """Return the intrinsic function that a node is, in short or long writing, with its argument; empty for a plain value."""
    tag = str(node.tag)
    if tag.startswith("!"):
        return tag[1:], node
    if isinstance(node, MappingNode) and len(node.value) == 1:
        name = word(node.value[0][0])
        if name in ("Ref", "Condition") or name.startswith("Fn::"):
            return name.removeprefix("Fn::"), node.value[0][1]
    return "", None


def _by_key(node: Node | None) -> dict[str, Node]:
    return dict(_pairs(node)) if isinstance(node, MappingNode) else {}


def _pairs(node: MappingNode) -> Iterator[tuple[str, Node]]:
    for key, value in node.value:
        yield str(key.value), value
