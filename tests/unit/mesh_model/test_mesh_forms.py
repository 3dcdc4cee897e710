"""The same mesh in App Mesh's own form, as a CloudFormation template and as Kubernetes resources is one and the same."""

from dataclasses import replace

import pytest

from mesh_model.meshfile import MeshFileError, load_mesh, load_meshes
from mesh_model.options import Options
from mesh_model.resources import Mesh

API = """\
mesh: {meshName: shop, spec: {egressFilter: {type: ALLOW_ALL}, serviceDiscovery: {ipPreference: IPv4_ONLY}}}
virtualServices:
  - virtualServiceName: pay.shop
    spec: {provider: {virtualRouter: {virtualRouterName: pay_shop}}}
virtualRouters:
  - virtualRouterName: pay_shop
    spec: {listeners: [{portMapping: {port: 8080, protocol: http}}]}
    routes:
      - routeName: canary
        spec:
          priority: 3
          httpRoute:
            match: {prefix: /, headers: [{name: x-canary, match: {exact: "on"}}], port: 8080}
            action: {weightedTargets: [{virtualNode: pay_shop_v1, weight: 1, port: 8080}]}
            retryPolicy: {maxRetries: 1, perRetryTimeout: {unit: s, value: 1}, httpRetryEvents: [server-error]}
virtualNodes:
  - virtualNodeName: web_shop
    spec:
      backends:
        - virtualService:
            virtualServiceName: pay.shop
            clientPolicy: {tls: {validation: {trust: {file: {certificateChain: /ca.pem}}}}}
  - virtualNodeName: pay_shop_v1
    tags: [{key: meshscope/service, value: pay}]
    spec:
      listeners:
        - portMapping: {port: 8080, protocol: http}
          connectionPool: {http: {maxConnections: 7}}
          timeout: {http: {idle: {unit: s, value: 9}}}
          tls: {mode: STRICT, certificate: {file: {certificateChain: /c.pem, privateKey: /k.pem}}}
      serviceDiscovery: {awsCloudMap: {namespaceName: shop.local, serviceName: pay, attributes: [{key: stage, value: prod}]}}
      logging: {accessLog: {file: {path: /dev/stdout, format: {text: "%RESPONSE_CODE%"}}}}
virtualGateways:
  - virtualGatewayName: edge_shop
    spec: {listeners: [{portMapping: {port: 8088, protocol: http}}]}
    gatewayRoutes:
      - gatewayRouteName: all_shop
        spec:
          httpRoute:
            match: {prefix: /pay, hostname: {suffix: .example}}
            action:
              target: {virtualService: {virtualServiceName: pay.shop}, port: 8080}
              rewrite: {prefix: {value: /v1/}, hostname: {defaultTargetHostname: DISABLED}}
"""

CLOUDFORMATION = """\
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Stage: {Type: String, Default: prod}
  Port: {Type: Number, Default: "8080"}
Resources:
  Bucket: {Type: "AWS::S3::Bucket"}
  Mesh:
    Type: AWS::AppMesh::Mesh
    Properties:
      MeshName: shop
      Spec: {EgressFilter: {Type: ALLOW_ALL}, ServiceDiscovery: {IpPreference: IPv4_ONLY}}
  Service:
    Type: AWS::AppMesh::VirtualService
    Properties:
      MeshName: !GetAtt Mesh.MeshName
      VirtualServiceName: pay.shop
      Spec: {Provider: {VirtualRouter: {VirtualRouterName: !GetAtt [Router, VirtualRouterName]}}}
  Router:
    Type: AWS::AppMesh::VirtualRouter
    Properties:
      MeshName: {"Fn::GetAtt": [Mesh, MeshName]}
      VirtualRouterName: pay_shop
      Spec: {Listeners: [{PortMapping: {Port: !Ref Port, Protocol: http}}]}
  Canary:
    Type: AWS::AppMesh::Route
    Properties:
      MeshName: !Ref Mesh
      VirtualRouterName: !GetAtt Router.VirtualRouterName
      RouteName: canary
      Spec:
        Priority: 3
        HttpRoute:
          Match: {Prefix: /, Headers: [{Name: x-canary, Match: {Exact: "on"}}], Port: 8080}
          Action: {WeightedTargets: [{VirtualNode: !Sub "pay_${Mesh}_v1", Weight: 1, Port: 8080}]}
          RetryPolicy: {MaxRetries: 1, PerRetryTimeout: {Unit: s, Value: 1}, HttpRetryEvents: [server-error]}
  web_shop:
    Type: AWS::AppMesh::VirtualNode
    Properties:
      MeshName: shop
      Spec:
        Backends:
          - VirtualService:
              VirtualServiceName: !GetAtt Service.VirtualServiceName
              ClientPolicy: {TLS: {Validation: {Trust: {File: {CertificateChain: /ca.pem}}}}}
  PayNode:
    Type: AWS::AppMesh::VirtualNode
    Properties:
      MeshName: shop
      VirtualNodeName: {"Fn::Sub": ["pay_${Word}_v1", {Word: !Ref Mesh}]}
      Tags: [{Key: meshscope/service, Value: pay}]
      Spec:
        Listeners:
          - PortMapping: {Port: {Ref: Port}, Protocol: http}
            ConnectionPool: {HTTP: {MaxConnections: 7}}
            Timeout: {HTTP: {Idle: {Unit: s, Value: 9}}}
            TLS: {Mode: STRICT, Certificate: {File: {CertificateChain: /c.pem, PrivateKey: /k.pem}}}
        ServiceDiscovery:
          AWSCloudMap: {NamespaceName: shop.local, ServiceName: pay, Attributes: [{Key: stage, Value: !Ref Stage}]}
        Logging: {AccessLog: {File: {Path: /dev/stdout, Format: {Text: "%RESPONSE_CODE%"}}}}
  edge_shop:
    Type: AWS::AppMesh::VirtualGateway
    Properties:
      MeshName: shop
      Spec: {Listeners: [{PortMapping: {Port: 8088, Protocol: http}}]}
  all_shop:
    Type: AWS::AppMesh::GatewayRoute
    Properties:
      MeshName: shop
      VirtualGatewayName: !GetAtt edge_shop.VirtualGatewayName
      Spec:
        HttpRoute:
          Match: {Prefix: /pay, Hostname: {Suffix: .example}}
          Action:
            Target: {VirtualService: {VirtualServiceName: pay.shop}, Port: 8080}
            Rewrite: {Prefix: {Value: /v1/}, Hostname: {DefaultTargetHostname: DISABLED}}
"""

KUBERNETES = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: Mesh
metadata: {name: shop}
spec:
  namespaceSelector: {matchLabels: {mesh: shop}}
  egressFilter: {type: ALLOW_ALL}
  meshServiceDiscovery: {ipPreference: IPv4_ONLY}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: pay, namespace: shop}
spec: {provider: {virtualRouter: {virtualRouterRef: {name: pay}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualRouter
metadata: {name: pay, namespace: shop}
spec:
  meshRef: {name: shop}
  listeners: [{portMapping: {port: 8080, protocol: http}}]
  routes:
    - name: canary
      priority: 3
      httpRoute:
        match: {prefix: /, headers: [{name: x-canary, match: {exact: "on"}}], port: 8080}
        action: {weightedTargets: [{virtualNodeRef: {name: pay}, weight: 1, port: 8080}]}
        retryPolicy: {maxRetries: 1, perRetryTimeout: {unit: s, value: 1}, httpRetryEvents: [server-error]}
---
apiVersion: v1
kind: List
items:
  - apiVersion: appmesh.k8s.aws/v1beta2
    kind: VirtualNode
    metadata: {name: web, namespace: shop}
    spec:
      podSelector: {matchLabels: {app: web}}
      backends:
        - virtualService:
            virtualServiceRef: {name: pay, namespace: shop}
            clientPolicy: {tls: {validation: {trust: {file: {certificateChain: /ca.pem}}}}}
  - apiVersion: appmesh.k8s.aws/v1beta2
    kind: VirtualNode
    metadata: {name: pay, namespace: shop, annotations: {meshscope/service: pay, other: x}}
    spec:
      awsName: pay_shop_v1
      listeners:
        - portMapping: {port: 8080, protocol: http}
          connectionPool: {http: {maxConnections: 7}}
          timeout: {http: {idle: {unit: s, value: 9}}}
          tls: {mode: STRICT, certificate: {file: {certificateChain: /c.pem, privateKey: /k.pem}}}
      serviceDiscovery: {awsCloudMap: {namespaceName: shop.local, serviceName: pay, attributes: [{key: stage, value: prod}]}}
      logging: {accessLog: {file: {path: /dev/stdout, format: {text: "%RESPONSE_CODE%"}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualGateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayRouteSelector: {matchLabels: {gateway: edge}}
  listeners: [{portMapping: {port: 8088, protocol: http}}]
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: GatewayRoute
metadata: {name: all, namespace: shop, labels: {gateway: edge}}
spec:
  httpRoute:
    match: {prefix: /pay, hostname: {suffix: .example}}
    action:
      target: {virtualService: {virtualServiceRef: {name: pay}}, port: 8080}
      rewrite: {prefix: {value: /v1/}, hostname: {defaultTargetHostname: DISABLED}}
"""


def sorted_nodes(mesh: Mesh) -> Mesh:
    return replace(mesh, virtual_nodes=tuple(sorted(mesh.virtual_nodes, key=lambda node: node.name)))


def problems_of(text: str) -> list[str]:
    with pytest.raises(MeshFileError) as caught:
        load_mesh(text, "f")
    return str(caught.value).splitlines()


def line_of(fragment: str, text: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if fragment in line)


@pytest.mark.parametrize("text", [pytest.param(CLOUDFORMATION, id="cloudformation"), pytest.param(KUBERNETES, id="kubernetes")])
def test_every_form_says_the_same(text: str) -> None:
    assert sorted_nodes(load_mesh(text)) == sorted_nodes(load_mesh(API))


def test_annotations_are_tags_and_only_ours() -> None:
    node = load_mesh(KUBERNETES).node("pay_shop_v1")
    assert node is not None
    assert node.options == Options({"meshscope/service": "pay"})
    assert node.service == "pay"


def test_a_mesh_may_be_spread_over_files_of_any_form() -> None:
    head, _, tail = KUBERNETES.partition("---\napiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualGateway")
    gateway = "---\napiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualGateway" + tail
    assert load_meshes([("1.yaml", head), ("2.yaml", gateway)]) == load_mesh(KUBERNETES)
    mixed = load_meshes([("k.yaml", head), ("api.yaml", "virtualGateways:" + API.partition("virtualGateways:")[2])])
    assert mixed == load_mesh(KUBERNETES)


def test_problems_name_the_file_they_are_in() -> None:
    with pytest.raises(MeshFileError) as caught:
        load_meshes(
            [("a.yaml", API.replace("priority: 3", "priority: 3000")), ("b.yaml", "mesh: {meshName: other}\nvirtualNode: []\n")]
        )
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        f"a.yaml:{line_of('priority: 3', API)}",
        "b.yaml:1",
        "b.yaml:2",
    ]


def test_routes_may_stand_for_themselves() -> None:
    head, _, rest = API.partition("    routes:\n      - routeName: canary\n")
    route, _, tail = rest.partition("virtualNodes:\n")
    apart = (
        f"{head}routes:\n  - routeName: canary\n    virtualRouterName: pay_shop\n{route.replace('        spec', '    spec', 1)}"
    )
    assert load_mesh(f"{apart}virtualNodes:\n{tail}") == load_mesh(API)


def test_a_part_of_a_mesh_names_its_mesh() -> None:
    only = CLOUDFORMATION.replace("  Mesh:\n    Type: AWS::AppMesh::Mesh", "  Elsewhere:\n    Type: AWS::Other::Mesh")
    text = (
        only.replace("!GetAtt Mesh.MeshName", "shop")
        .replace('{"Fn::GetAtt": [Mesh, MeshName]}', "shop")
        .replace("!Ref Mesh", "shop")
    )
    mesh = load_mesh(text.replace("${Mesh}", "shop"))
    assert (mesh.name, mesh.egress_filter, len(mesh.virtual_nodes)) == ("shop", "DROP_ALL", 2)


CLOUDFORMATION_WRONG = [
    ("!GetAtt Mesh.MeshName", "!GetAtt Mesh.Arn", "Resources.Service.Properties.MeshName: `Mesh.Arn` is known to AWS only"),
    ("!GetAtt Mesh.MeshName", "!GetAtt Bucket.Name", "`Bucket` is no App Mesh resource of this template"),
    ("!GetAtt Mesh.MeshName", "!ImportValue MeshName", "`ImportValue` cannot be evaluated here"),
    ("!GetAtt Mesh.MeshName", "{'Fn::Join': ['', [a, b]]}", "`Join` cannot be evaluated here"),
    ("!GetAtt Mesh.MeshName", "!Ref AWS::StackName", "`AWS::StackName` is no App Mesh resource of this template"),
    ("MeshName: !GetAtt Mesh.MeshName", "MeshName: !GetAtt Service.MeshName", "references lead in a circle"),
    ("{Type: String, Default: prod}", "{Type: String}", "the parameter `Stage` has no `Default`"),
    ('"pay_${Mesh}_v1"', '"pay_${Nobody}_v1"', "`Nobody` is no App Mesh resource of this template"),
    ('"pay_${Mesh}_v1"', '"pay_${!Mesh}_v1"', "there is no virtual node `pay_${Mesh}_v1`"),
    ("AWS::AppMesh::GatewayRoute", "AWS::AppMesh::Gateway", "there is no `AWS::AppMesh::Gateway`"),
    ("  Canary:\n", "  Canary:\n    Condition: IsProd\n", "conditions are not evaluated"),
    ("Priority: 3", "Priority: 3000", "Resources.Canary.Properties.Spec.Priority: got 3000"),
    ("Priority: 3", "priority: 3", "unknown field `priority`"),
    ("TLS: {Mode: STRICT", "Tls: {Mode: LOOSE", "Resources.PayNode.Properties.Spec.Listeners[0].Tls.Mode: got `LOOSE`"),
    (
        "VirtualGatewayName: !GetAtt edge_shop.VirtualGatewayName",
        "VirtualGatewayName: nobody",
        "there is no virtual gateway `nobody`",
    ),
    ("      MeshName: !Ref Mesh", "      MeshName: other", "it belongs to the mesh `other`"),
]


@pytest.mark.parametrize(("old", "new", "told"), CLOUDFORMATION_WRONG, ids=[case[1][:40] for case in CLOUDFORMATION_WRONG])
def test_what_a_template_cannot_say_is_told_with_its_line(old: str, new: str, told: str) -> None:
    text = CLOUDFORMATION.replace(old, new)
    assert text != CLOUDFORMATION
    lines = problems_of(text)
    assert any(told in line for line in lines), lines
    assert all(line.startswith("f:") for line in lines)


KUBERNETES_WRONG = [
    ("virtualRouterRef: {name: pay}", "virtualRouterRef: {name: nobody}", "there is no virtual router `nobody_shop`"),
    ("virtualNodeRef: {name: pay}", "virtualNodeRef: {name: pay, namespace: other}", "there is no virtual node `pay_other`"),
    ("priority: 3", "priority: 3000", "VirtualRouter pay.routes[0].spec.priority: got 3000"),
    ("labels: {gateway: edge}", "labels: {gateway: back}", "GatewayRoute all: 0 virtual gateways select it"),
    (
        "v1beta2\nkind: VirtualGateway",
        "v1beta1\nkind: VirtualGateway",
        "`VirtualGateway` of `appmesh.k8s.aws/v1beta1` is not understood",
    ),
    ("kind: VirtualGateway", "kind: BackendGroup", "`BackendGroup` of `appmesh.k8s.aws/v1beta2` is not understood"),
    ("meshRef: {name: shop}", "meshRef: {name: other}", "it belongs to the mesh `other`"),
    ("metadata: {name: edge, namespace: shop}", "metadata: {namespace: shop}", "`metadata.name` is missing"),
    (
        "listeners: [{portMapping: {port: 8088",
        "listeners: [{portMapping: {prot: 8088",
        "VirtualGateway edge.spec.listeners[0].portMapping.prot",
    ),
]


@pytest.mark.parametrize(("old", "new", "told"), KUBERNETES_WRONG, ids=[case[1][:40] for case in KUBERNETES_WRONG])
def test_what_is_wrong_with_a_manifest_is_told_with_its_line(old: str, new: str, told: str) -> None:
    text = KUBERNETES.replace(old, new)
    assert text != KUBERNETES
    lines = problems_of(text)
    assert any(told in line for line in lines), lines


def test_a_manifest_may_name_things_by_arn_and_refer_to_its_gateway() -> None:
    arn = "arn:aws:appmesh:eu-west-1:111122223333:mesh/shop"
    text = (
        KUBERNETES.replace("virtualNodeRef: {name: pay}", f"virtualNodeARN: {arn}/virtualNode/pay_shop_v1")
        .replace("virtualRouterRef: {name: pay}", f"virtualRouterARN: {arn}/virtualRouter/pay_shop")
        .replace("labels: {gateway: edge}}\nspec:", "labels: {gateway: back}}\nspec:\n  virtualGatewayRef: {name: edge}")
    )
    assert load_mesh(text) == load_mesh(KUBERNETES)
