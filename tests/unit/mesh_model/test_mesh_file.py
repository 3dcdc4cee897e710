import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_model.endpoints import Dns, StaticEndpoints
from mesh_model.meshfile import MeshFileError, load_mesh
from mesh_model.resources import (
    Backend,
    ConnectionPool,
    OutlierDetection,
    Provider,
    RetryPolicy,
    Timeout,
    WeightedTarget,
)
from tests.fakes.meshes import SHOP


def problems_of(text: str) -> list[str]:
    with pytest.raises(MeshFileError) as caught:
        load_mesh(text, "shop.yaml")
    return str(caught.value).splitlines()


def line_of(fragment: str, text: str = SHOP) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if fragment in line)


def test_every_resource_is_read() -> None:
    mesh = load_mesh(SHOP)
    assert mesh.name == "shop"
    assert mesh.virtual_services[0].provider == Provider("virtualRouter", "payments")
    pay = mesh.virtual_routers[0].routes[1]
    assert pay.match.path.text == "/pay"
    assert pay.targets == (WeightedTarget("payments-v1", 90), WeightedTarget("payments-v2", 10))
    assert pay.retry == RetryPolicy(3, 0.2, frozenset({"server-error"}), frozenset({"connection-error"}))
    assert pay.timeout == Timeout(per_request_s=5.0, idle_s=300.0)
    node = mesh.node("payments-v1")
    assert node is not None
    assert (node.service, node.version, node.backends) == ("payments", "v1", (Backend("ledger.shop.local"),))
    assert node.discovery == StaticEndpoints.of("127.0.0.1:9001")
    assert node.listeners[0].outlier_detection == OutlierDetection(3, 10.0, 5.0, 50)
    assert node.listeners[0].connection_pool == ConnectionPool(20, 5)
    assert node.listeners[0].timeout == Timeout(per_request_s=15.0, idle_s=60.0)
    assert mesh.virtual_nodes[3].discovery == Dns("ledger.internal", "ENDPOINTS")
    assert mesh.virtual_nodes[3].service == "ledger"


def test_the_same_mesh_may_be_written_as_json() -> None:
    node = {"virtualNodeName": "a", "spec": {}}
    mesh = load_mesh(json.dumps({"mesh": {"meshName": "m"}, "virtualNodes": [node]}, indent=2), "mesh.json")
    assert mesh.virtual_nodes[0].name == "a"


def test_all_problems_are_told_at_once_each_with_file_line_field_and_expectation() -> None:
    text = SHOP.replace("weight: 10}", "weight: 150}").replace("unit: ms", "unit: min").replace("port: 8002", "port: yes")
    assert problems_of(text) == [
        f"shop.yaml:{line_of('weight: 10')}: virtualRouters[0].routes[1].spec.httpRoute.action.weightedTargets[1].weight: "
        "got 150; expected a whole number from 0 to 100",
        f"shop.yaml:{line_of('unit: ms')}: virtualRouters[0].routes[1].spec.httpRoute.retryPolicy.perRetryTimeout.unit: "
        "got `min`; expected one of `s`, `ms`",
        f"shop.yaml:{line_of('port: 8002')}: virtualNodes[2].spec.listeners[0].portMapping.port: "
        "got the text `yes`; expected a whole number from 1 to 65535",
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "provider: {virtualNode: {virtualNodeName: ledger}}",
            "provider: {virtualNode: {virtualNodeName: ledgr}}",
            "no virtual node `ledgr`",
        ),
        ("virtualRouterName: payments}", "virtualRouterName: pay}", "there is no virtual router `pay`"),
        (
            "virtualNode: payments-v2",
            "virtualNode: payments-v3",
            "weightedTargets[1].virtualNode: there is no virtual node `payments-v3`",
        ),
        (
            "{virtualServiceName: payments.shop.local}",
            "{virtualServiceName: nobody}",
            "virtualNodes[0].spec.backends[0].virtualService.virtualServiceName: there is no virtual service `nobody`",
        ),
        ("virtualNodeName: ledger\n", "virtualNodeName: web\n", "a virtual node `web` was declared before"),
    ],
)
def test_names_that_lead_nowhere_or_come_twice_are_problems(old: str, new: str, told: str) -> None:
    lines = problems_of(SHOP.replace(old, new))
    assert any(told in line for line in lines)
    assert lines[0].startswith(f"shop.yaml:{line_of(new.strip(), SHOP.replace(old, new))}:") or len(lines) > 1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("match: {prefix: /pay}", "match: {prefix: pay}", "match.prefix: got `pay`; expected a prefix that starts with `/`"),
        ("match: {prefix: /pay}", "match: {prefx: /pay}", "match.prefx: unknown field `prefx`; expected one of `prefix`, `path`"),
        ("match: {prefix: /pay}", "match: {prefix: /pay, prefix: /p}", "`prefix` is written twice; expected each field once"),
        ("maxRetries: 3", "maxRetries: many", "maxRetries: got the text `many`; expected a whole number from 0"),
        ("[server-error]", "[any-error]", "httpRetryEvents[0]: got `any-error`"),
        ("weight: 90}", "weight: 0}", "weightedTargets[1]"),
        ('endpoints: ["127.0.0.1:9002"]', "endpoints: [9002]", "endpoints[0]: got the number `9002`; expected a text"),
        ('endpoints: ["127.0.0.1:9002"]', "endpoints: [localhost]", "expected an address such as `127.0.0.1:9001`"),
        ("mesh: {meshName: shop, ", "mesh: {", "mesh.meshName: `meshName` is missing; expected the mesh's name"),
        ("maxServerErrors: 3", "maxServerErrors: 0", "maxServerErrors: got 0"),
        ("virtualRouters:", "virtualRooters:", "unknown field `virtualRooters`"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, told: str) -> None:
    text = SHOP.replace(old, new)
    if told == "weightedTargets[1]":
        text = text.replace("weight: 10}", "weight: 0}")
        told = "weightedTargets: every weight is 0; expected at least one weight above 0"
    assert any(told in line for line in problems_of(text))


def test_a_listener_without_discovery_is_refused() -> None:
    text = SHOP.replace('      serviceDiscovery: {static: {endpoints: ["127.0.0.1:9002"]}}\n', "")
    assert "it has a listener but no `serviceDiscovery`" in problems_of(text)[0]


@pytest.mark.parametrize(
    ("text", "line"), [("mesh: {meshName: [}", 1), ("a: 1\nb: [1\nc: 2\n", 3), ("", 1), ("- 1", 1), ("\tx: 1", 1)]
)
def test_what_is_no_mapping_is_told_with_its_line(text: str, line: int) -> None:
    assert problems_of(text)[0].startswith(f"shop.yaml:{line}: ")


def test_a_document_without_bottom_is_refused() -> None:
    assert "nested too deeply" in problems_of("[" * 1000)[0]


@given(st.text(max_size=200))
def test_any_text_loads_or_is_refused_with_a_line_per_problem(text: str) -> None:
    with pytest.raises(MeshFileError) as caught:
        load_mesh(text, "any.yaml")
    assert all(problem.line >= 1 and problem.expected for problem in caught.value.problems)


_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
_trees = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8
)


_PLACES = ("mesh", "virtualServices", "virtualRouters", "routes", "virtualNodes", "virtualGateways", "gatewayRoutes")
_CLOUDFORMATION = ("Mesh", "VirtualService", "VirtualRouter", "Route", "VirtualNode", "VirtualGateway", "GatewayRoute")
_MANIFESTS = ("Mesh", "VirtualService", "VirtualRouter", "VirtualNode", "VirtualGateway", "GatewayRoute", "List")
_functions = st.dictionaries(
    st.sampled_from(["Ref", "Fn::GetAtt", "Fn::Sub", "Fn::If"]), _trees | st.sampled_from(["A", "A.Arn"])
)


@given(_trees, st.sampled_from(_PLACES), st.booleans())
def test_any_tree_in_any_place_is_judged_without_an_accident(tree: object, place: str, listed: bool) -> None:
    document = {"mesh": {"meshName": "m"}, place: [tree] if listed else tree}
    with suppress(MeshFileError):
        load_mesh(json.dumps(document))


@given(_trees | _functions, _trees | _functions, st.sampled_from(_CLOUDFORMATION))
def test_any_template_is_judged_without_an_accident(properties: object, spec: object, kind: str) -> None:
    name = kind[0].upper() + kind[1:] + "Name"
    resources = {
        "A": {"Type": f"AWS::AppMesh::{kind}", "Properties": properties},
        "B": {"Type": f"AWS::AppMesh::{kind}", "Properties": {"MeshName": properties, name: spec, "Spec": spec}},
    }
    with suppress(MeshFileError):
        load_mesh(json.dumps({"Resources": resources, "Parameters": properties}))


@given(_trees, _trees, st.sampled_from(_MANIFESTS))
def test_any_manifest_is_judged_without_an_accident(one: object, other: object, kind: str) -> None:
    start = {"apiVersion": "appmesh.k8s.aws/v1beta2", "kind": kind}
    documents = [
        start | {"metadata": one, "spec": other, "items": one},
        start | {"metadata": {"name": "n", "annotations": one, "labels": one}, "spec": {"routes": [one], "meshRef": one}},
        start | {"metadata": {"name": "n"}, "items": [one], "spec": {"gatewayRouteSelector": {"matchLabels": one}}},
    ]
    with suppress(MeshFileError):
        load_mesh("\n---\n".join(map(json.dumps, documents)))


@pytest.mark.parametrize(
    "text",
    [
        "mesh: &a {meshName: *a}",
        "mesh: {meshName: m}\nvirtualNodes: &a [*a]",
        "Resources: &a {A: {Type: AWS::AppMesh::Mesh, Properties: *a}}",
        "Resources: {A: {Type: AWS::AppMesh::Mesh, Properties: {MeshName: &a {Ref: *a}}}}",
        "Resources: {A: {Type: AWS::AppMesh::Mesh, Properties: {MeshName: !Ref A}}}",
        "apiVersion: v1\nkind: List\nitems: &a\n  - {apiVersion: v1, kind: List, items: *a}",
        "? [a, b]\n: c",
    ],
)
def test_what_leads_in_a_circle_is_refused(text: str) -> None:
    assert problems_of(text)
