import json

import pytest

from mesh_model.meshfile import MeshFileError, load_mesh
from mesh_model.node_policies import Balancing, Outliers, SlowStart, Sticky, balancing_of, outliers_of
from mesh_model.options import Options
from mesh_model.route_policies import (
    Abort,
    Condition,
    Delay,
    HeaderEdits,
    Mirror,
    RateLimit,
    RoutePolicy,
    route_policy_of,
)
from mesh_model.tag_words import TagProblem


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, Balancing()),
        ({"balancer": "least_request bias=1.5"}, Balancing("least_request", bias=1.5)),
        ({"balancer": "random"}, Balancing("random")),
        ({"balancer": "ring_hash ring=4096", "sticky": "source"}, Balancing("ring_hash", ring=4096, sticky=Sticky("source"))),
        ({"sticky": "header X-User"}, Balancing("ring_hash", sticky=Sticky("header", "x-user"))),
        (
            {"balancer": "maglev", "sticky": "cookie Stay ttl=1h path=/shop"},
            Balancing("maglev", sticky=Sticky("cookie", "Stay", 3600.0, "/shop")),
        ),
        ({"slow-start": "30s"}, Balancing(slow_start=SlowStart(30.0))),
        ({"slow-start": "500ms aggression=2 least=20"}, Balancing(slow_start=SlowStart(0.5, 2.0, 0.2))),
        ({"panic-threshold": "50", "prefer-zone": "70"}, Balancing(panic_percent=50.0, zone_percent=70.0)),
    ],
)
def test_how_a_node_is_balanced(tags: dict[str, str], expected: Balancing) -> None:
    assert balancing_of(tags) == expected


def test_what_ejects() -> None:
    assert outliers_of({}) == Outliers()
    assert outliers_of({"outlier": "gateway=5 local=3 success-rate=1.9 failure-percentage=85 success-rate-hosts=3"}) == Outliers(
        5, 3, 1.9, success_rate_hosts=3, failure_percent=85.0
    )


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"mirror": "api-v2"}, RoutePolicy(mirror=Mirror("api-v2", Condition()))),
        ({"mirror": "api-v2 percent=1.5"}, RoutePolicy(mirror=Mirror("api-v2", Condition(1.5)))),
        ({"fault-delay": "2s percent=10"}, RoutePolicy(delay=Delay(2.0, Condition(10.0)))),
        ({"fault-delay": "250ms header=X-Fault"}, RoutePolicy(delay=Delay(0.25, Condition(100.0, "x-fault")))),
        ({"fault-abort": "503 header=x-fault:on"}, RoutePolicy(abort=Abort(503, Condition(100.0, "x-fault", "on")))),
        ({"rate-limit": "100/s"}, RoutePolicy(rate_limit=RateLimit(100.0, 100))),
        ({"rate-limit": "30/m burst=5 header=x-user"}, RoutePolicy(rate_limit=RateLimit(0.5, 5, "x-user"))),
        (
            {"request-header-set/X-Env": "prod 1", "request-header-add/via": "mesh", "request-header-remove/x-debug": ""},
            RoutePolicy(request=HeaderEdits(("x-debug",), (("x-env", "prod 1"),), (("via", "mesh"),))),
        ),
        ({"response-header-remove/server": ""}, RoutePolicy(response=HeaderEdits(("server",)))),
    ],
)
def test_what_a_route_does_beside(tags: dict[str, str], expected: RoutePolicy) -> None:
    assert route_policy_of(tags) == expected


def read_all(tags: dict[str, str]) -> None:
    balancing_of(tags)
    outliers_of(tags)
    route_policy_of(tags)


@pytest.mark.parametrize(
    "tags",
    [
        {"balancer": "fastest"},
        {"balancer": ""},
        {"balancer": "maglev bias=2"},
        {"balancer": "random ring=5"},
        {"sticky": "header"},
        {"sticky": "cookie a;b"},
        {"sticky": "cookie a path=/;x"},
        {"slow-start": "0s"},
        {"slow-start": "30"},
        {"slow-start": "30s aggression=0"},
        {"panic-threshold": "101"},
        {"panic-threshold": "nan"},
        {"prefer-zone": "a lot"},
        {"outlier": "gateway=0"},
        {"outlier": "gateway=1 gateway=2"},
        {"outlier": "typo=1"},
        {"mirror": ""},
        {"mirror": "a b"},
        {"fault-delay": "2h"},
        {"fault-delay": "-1s"},
        {"fault-abort": "99"},
        {"fault-abort": "503 percent=101"},
        {"fault-abort": "503 header=:on"},
        {"rate-limit": "0/s"},
        {"rate-limit": "10"},
        {"rate-limit": "10/s burst=0"},
        {"request-header-set/host": "other"},
        {"request-header-add/transfer-encoding": "chunked"},
        {"request-header-set/a b": "x"},
        {"response-header-set/x-a": "a\r\nx-b: c"},
    ],
    ids=lambda tags: " ".join(f"{key}={value}" for key, value in tags.items()).encode("unicode_escape").decode(),
)
def test_what_is_not_understood_is_a_problem(tags: dict[str, str]) -> None:
    with pytest.raises(TagProblem, match="expected"):
        read_all(tags)


def test_a_mesh_file_tells_where_a_tag_is_wrong() -> None:
    tags = [{"key": "meshscope/balancer", "value": "fastest"}]
    document = {"mesh": {"meshName": "m"}, "virtualNodes": [{"virtualNodeName": "a", "tags": tags, "spec": {}}]}
    with pytest.raises(MeshFileError, match=r"m.json:\d+: virtualNodes\[0\].tags: got `fastest`; expected `round_robin`"):
        load_mesh(json.dumps(document, indent=1), "m.json")


def test_words_are_read_without_their_prefix() -> None:
    assert balancing_of(Options({"meshscope/balancer": "maglev", "balancer": "random"})) == Balancing("maglev")
