import pytest

from mesh_model.compile import UnknownVirtualNode, compile_table
from mesh_model.endpoints import Dns, StaticEndpoints
from mesh_model.meshfile import load_mesh
from mesh_model.table import Choice
from tests.fakes.meshes import SHOP


def test_the_longest_prefix_is_asked_first() -> None:
    table = compile_table(load_mesh(SHOP), "web")
    assert [host.host for host in table.egress] == ["payments.shop.local"]
    assert [route.path for route in table.egress[0].routes] == ["/pay", "/"]
    assert table.egress[0].routes[0].choices == (Choice("payments-v1", 90), Choice("payments-v2", 10))


def test_priority_comes_before_length_and_unset_comes_last() -> None:
    text = SHOP.replace("routeName: all\n        spec:\n", "routeName: all\n        spec:\n          priority: 7\n")
    table = compile_table(load_mesh(text), "web")
    assert [route.path for route in table.egress[0].routes] == ["/", "/pay"]


def test_only_declared_backends_are_reachable() -> None:
    table = compile_table(load_mesh(SHOP), "payments-v1")
    assert [host.host for host in table.egress] == ["ledger.shop.local"]
    assert [target.virtual_node for target in table.targets] == ["ledger"]
    assert table.targets[0].discovery == Dns("ledger.internal", "ENDPOINTS")
    assert table.targets[0].port == 8003
    assert compile_table(load_mesh(SHOP), "ledger").egress == ()


def test_the_ingress_knows_the_routes_that_lead_to_its_node() -> None:
    table = compile_table(load_mesh(SHOP), "payments-v2")
    assert [(host.host, [route.path for route in host.routes]) for host in table.ingress[0].hosts] == [
        ("payments.shop.local", ["/pay", "/"]),
        ("*", ["/"]),
    ]
    application = table.ingress[0].application
    assert application is not None
    assert application.discovery == StaticEndpoints.of("127.0.0.1:8002")
    assert (table.service, table.version) == ("payments", "v2")


def test_a_target_carries_its_protection() -> None:
    target = compile_table(load_mesh(SHOP), "web").targets[0]
    assert target.outlier_detection is not None
    assert target.outlier_detection.max_server_errors == 3
    assert target.connection_pool.max_connections == 20
    assert (target.service, target.version) == ("payments", "v1")


def test_a_weight_of_zero_gets_nothing() -> None:
    table = compile_table(load_mesh(SHOP.replace("weight: 10}", "weight: 0}")), "web")
    assert table.egress[0].routes[0].choices == (Choice("payments-v1", 90),)


def test_an_unknown_node_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownVirtualNode, match="no virtual node `wob`; it has: ledger, payments-v1, payments-v2, web"):
        compile_table(load_mesh(SHOP), "wob")


def test_a_service_without_a_provider_has_no_routes() -> None:
    text = SHOP.replace("spec: {provider: {virtualRouter: {virtualRouterName: payments}}}", "spec: {}")
    assert compile_table(load_mesh(text), "web").egress[0].routes == ()
