"""The App Mesh controller's custom resources (``appmesh.k8s.aws/v1beta2``), their references followed to App Mesh's names."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from mesh_model.document import Cursor, Form, Problem, Source
from mesh_model.options import TAG_PREFIX
from mesh_model.parts import Parts, listed, mapping, member, text, word

GROUP, VERSION = "appmesh.k8s.aws/", "appmesh.k8s.aws/v1beta2"
_COLLECTIONS = {
    "Mesh": ("", "meshName"),
    "VirtualService": ("virtualServices", "virtualServiceName"),
    "VirtualRouter": ("virtualRouters", "virtualRouterName"),
    "VirtualNode": ("virtualNodes", "virtualNodeName"),
    "VirtualGateway": ("virtualGateways", "virtualGatewayName"),
    "GatewayRoute": ("gatewayRoutes", "gatewayRouteName"),
}
_OUTSIDE_SPEC = frozenset({"awsName", "meshRef", "virtualGatewayRef"})
_KUBERNETES_OWN = frozenset({"namespaceSelector", "podSelector", "gatewayRouteSelector"})
_NOT_SPEC = _OUTSIDE_SPEC | _KUBERNETES_OWN | {"meshOwner"}
_OTHER_NAMES = {
    "meshServiceDiscovery": "serviceDiscovery",
    "certificateARN": "certificateArn",
    "certificateAuthorityARNs": "certificateAuthorityArns",
}
_REFERENCES = {"virtualNode": "VirtualNode", "virtualRouter": "VirtualRouter", "virtualService": "VirtualService"}


@dataclass(frozen=True, slots=True)
class Resource:
    """One document of the controller's."""

    root: Node
    file: str
    kind: str
    namespace: str
    name: str

    @property
    def spec(self) -> Node:
        """Its spec."""
        return member(self.root, "spec") or mapping([], self.root)

    @property
    def app_mesh_name(self) -> str:
        """Return the name that the controller gives it in App Mesh."""
        given = word(member(self.spec, "awsName"))
        if given or self.kind == "Mesh":
            return given or self.name
        return f"{self.name}.{self.namespace}" if self.kind == "VirtualService" else f"{self.name}_{self.namespace}"


def is_manifest(root: Node) -> bool:
    """Tell whether a document is a Kubernetes resource, of whatever kind."""
    return bool(word(member(root, "apiVersion")) and word(member(root, "kind")))


def gather(manifests: Iterable[tuple[Node, str]], problems: list[Problem], parts: Parts) -> None:
    """Add the App Mesh resources of all manifests (document and file); resources of other groups are no business of ours."""
    found = list(_resources(manifests, problems))
    named = {(each.kind, each.namespace, each.name): each.app_mesh_name for each in found}
    for resource in found:
        source = Source(problems, resource.file, Manifest(named, resource.namespace))
        _add(resource, found, source, parts)


def _resources(manifests: Iterable[tuple[Node, str]], problems: list[Problem]) -> Iterator[Resource]:
    for root, file in _unlisted(manifests):
        version, kind = word(member(root, "apiVersion")), word(member(root, "kind"))
        if not version.startswith(GROUP):
            continue
        at = Cursor(root, kind, Source(problems, file))
        if version != VERSION or kind not in _COLLECTIONS:
            kinds = ", ".join(f"`{each}`" for each in _COLLECTIONS)
            at.complain(f"`{kind}` of `{version}` is not understood", f"`{VERSION}` with one of {kinds}")
            continue
        name = word(member(root, "metadata", "name"))
        if not name:
            at.complain("`metadata.name` is missing", "the resource's name")
        namespace = word(member(root, "metadata", "namespace")) or "default"
        yield Resource(root, file, kind, "" if kind == "Mesh" else namespace, name)


def _unlisted(manifests: Iterable[tuple[Node, str]]) -> Iterator[tuple[Node, str]]:
    """Yield the manifests, and those in a ``List``; there are no lists in lists."""
    for root, file in manifests:
        items = member(root, "items")
        if word(member(root, "kind")) == "List" and isinstance(items, SequenceNode):
            yield from ((item, file) for item in items.value)
        else:
            yield root, file


def _add(resource: Resource, every: list[Resource], source: Source, parts: Parts) -> None:
    collection, name_field = _COLLECTIONS[resource.kind]
    spec = resource.spec
    fields: list[tuple[Node, Node]] = [(text(name_field, resource.root), text(resource.app_mesh_name, resource.root))]
    mesh = word(member(spec, "meshRef", "name"))
    if mesh and collection:
        named = next((each.app_mesh_name for each in every if each.kind == "Mesh" and each.name == mesh), mesh)
        fields.append((text("meshName", spec), text(named, spec)))
    routes = member(spec, "routes") if resource.kind == "VirtualRouter" else None
    fields.append((text("spec", spec), _without(spec, _NOT_SPEC | ({"routes"} if routes else set()))))
    fields.append((text("tags", resource.root), listed(_tags(resource), resource.root)))
    if isinstance(routes, SequenceNode):
        fields.append((text("routes", routes), listed([_route(route) for route in routes.value], routes)))
    if resource.kind == "GatewayRoute":
        fields.extend(_gateway_of(resource, every, source))
    at = Cursor(mapping(fields, resource.root), f"{resource.kind} {resource.name}", source)
    parts.add(collection, at) if collection else parts.meshes.append(at)


def _route(route: Node) -> Node:
    """Return an inline route as the API has it: what the controller writes beside the name is the spec."""
    name = [(text("routeName", key), value) for key, value in _pairs(route) if key.value == "name"]
    return mapping([*name, (text("spec", route), _without(route, {"name"}))], route)


def _gateway_of(route: Resource, every: list[Resource], source: Source) -> Iterator[tuple[Node, Node]]:
    """Yield the name of a gateway route's gateway: the one it refers to, else the one whose selector has its labels."""
    reference = member(route.spec, "virtualGatewayRef")
    gateways = [each for each in every if each.kind == "VirtualGateway"]
    if reference is not None:
        place = word(member(reference, "namespace")) or route.namespace
        chosen = [each for each in gateways if (each.namespace, each.name) == (place, word(member(reference, "name")))]
    else:
        chosen = [each for each in gateways if _selects(each, route)]
    if len(chosen) == 1:
        yield text("virtualGatewayName", route.root), text(chosen[0].app_mesh_name, route.root)
        return
    at = Cursor(route.root, f"{route.kind} {route.name}", source)
    at.complain(
        f"{len(chosen)} virtual gateways select it", "`virtualGatewayRef`, or labels that one `gatewayRouteSelector` asks for"
    )


def _selects(gateway: Resource, route: Resource) -> bool:
    wanted = member(gateway.spec, "gatewayRouteSelector", "matchLabels")
    return all(word(member(route.root, "metadata", "labels", str(key.value))) == word(value) for key, value in _pairs(wanted))


def _tags(resource: Resource) -> list[Node]:
    """Custom resources have no tags: annotations ``meshscope/...`` are."""
    annotations = member(resource.root, "metadata", "annotations")
    return [
        mapping([(text("key", key), key), (text("value", value), value)], key)
        for key, value in _pairs(annotations)
        if str(key.value).startswith(TAG_PREFIX)
    ]


def _without(node: Node, names: Iterable[str]) -> Node:
    if not isinstance(node, MappingNode):
        return node
    return mapping([(key, value) for key, value in node.value if key.value not in names], node)


def _pairs(node: Node | None) -> list[tuple[Node, Node]]:
    return node.value if isinstance(node, MappingNode) else []


class Manifest(Form):
    """One document: references are followed to the names that resources have in App Mesh."""

    def __init__(self, named: dict[tuple[str, str, str], str], namespace: str) -> None:
        self._named, self._namespace = named, namespace

    def entries(self, node: MappingNode) -> Iterable[tuple[str, Node, Node]]:
        """Yield the fields of a mapping; ``virtualNodeRef`` and ``virtualNodeARN`` become a name."""
        in_a_target = any(key.value == "weight" for key, _ in node.value)
        for key, value in node.value:
            written = str(key.value)
            referred = _REFERENCES.get(written.removesuffix("Ref").removesuffix("ARN"))
            if referred is None or written in _REFERENCES:
                yield _OTHER_NAMES.get(written, written), key, value
                continue
            field = written.removesuffix("Ref").removesuffix("ARN")
            name = self._name(referred, value) if written.endswith("Ref") else word(value).rpartition("/")[2]
            yield field if in_a_target else f"{field}Name", key, text(name, value)

    def _name(self, kind: str, reference: Node) -> str:
        """Return the App Mesh name of what is referred to; of what is not there, the one that it would have."""
        name, namespace = word(member(reference, "name")), word(member(reference, "namespace")) or self._namespace
        known = self._named.get((kind, namespace, name))
        return known or (f"{name}.{namespace}" if kind == "VirtualService" else f"{name}_{namespace}")
