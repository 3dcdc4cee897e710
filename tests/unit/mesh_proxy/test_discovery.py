from random import Random

from core.clock import SystemClock
from mesh_model.endpoints import Dns
from mesh_model.table import Target
from mesh_proxy import discovery
from mesh_proxy.circuit import Change
from mesh_proxy.target import LiveTarget


def live(hostname: str, response: str) -> LiveTarget:
    told: list[Change] = []
    kind = Dns(hostname, "ENDPOINTS" if response == "ENDPOINTS" else "LOADBALANCER")
    spec = Target("api", "api", "api", "", kind, port=8080)
    return LiveTarget(spec, lambda _, change, __: told.append(change), random=Random(1))


def test_a_loadbalancer_is_one_address_by_name() -> None:
    target = live("api.internal", "LOADBALANCER")
    discovery.begin(target)
    assert list(target.pools) == ["api.internal:8080"]
    assert target.admit(0.0, ()) is not None


async def test_endpoints_are_all_addresses_of_the_name_and_stay_when_it_does_not_resolve() -> None:
    target = live("localhost", "ENDPOINTS")
    discovery.begin(target)
    assert target.admit(0.0, ()) is None
    await discovery.resolve(target, "localhost", SystemClock())
    assert "127.0.0.1:8080" in target.pools
    before = dict(target.pools)
    await discovery.resolve(target, "no-such-name.invalid", SystemClock())
    assert target.pools == before
