"""Endpoints that are registered with AWS Cloud Map; botocore finds region, credentials and endpoint as all AWS tools do.

This module is loaded only by proxies that need it: botocore weighs some 20 MB.
"""

import asyncio
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from mesh_model.endpoints import CloudMap, IpPreference
from mesh_proxy.discovery.names_dns import at_port
from mesh_proxy.discovery.places import Found, NotFound
from mesh_proxy.targets.outlier import Place

REFRESH_S = 5.0
CALL_S = 5.0
MOST_INSTANCES = 1000
V4, V6, PORT = "AWS_INSTANCE_IPV4", "AWS_INSTANCE_IPV6", "AWS_INSTANCE_PORT"
ZONE = "AVAILABILITY_ZONE"
_KEYS: dict[IpPreference | None, tuple[str, ...]] = {
    "IPv4_ONLY": (V4,),
    "IPv6_ONLY": (V6,),
    "IPv4_PREFERRED": (V4, V6),
    "IPv6_PREFERRED": (V6, V4),
    None: (V4, V6),
}


class CloudMapEndpoints:
    """The healthy instances of one Cloud Map service that have all the attributes asked for.

    An instance without AWS_INSTANCE_PORT is at ``port``; AVAILABILITY_ZONE (ECS sets it) is its zone.
    """

    def __init__(self, service: CloudMap, port: int, refresh_s: float = REFRESH_S) -> None:
        self._service, self._port, self._refresh_s = service, port, refresh_s
        self._client: Any = None  # botocore makes its clients at run time

    def __repr__(self) -> str:
        return f"<CloudMapEndpoints {self._service.service}.{self._service.namespace}>"

    async def find(self) -> Found:
        """Ask for the instances. Raises NotFound."""
        try:
            answer = await asyncio.to_thread(self._discover)
        except (BotoCoreError, ClientError) as error:
            where = f"{self._service.service} in {self._service.namespace}"
            raise NotFound(f"Cloud Map does not tell the instances of {where}: {error}") from error
        places = {place.address: place for each in answer["Instances"] if (place := self._place(each["Attributes"]))}
        return Found([places[address] for address in sorted(places)], self._refresh_s)

    def _discover(self) -> Any:
        if self._client is None:
            settings = Config(connect_timeout=CALL_S, read_timeout=CALL_S, retries={"total_max_attempts": 2})
            self._client = botocore.session.get_session().create_client("servicediscovery", config=settings)
        return self._client.discover_instances(
            NamespaceName=self._service.namespace,
            ServiceName=self._service.service,
            MaxResults=MOST_INSTANCES,
            QueryParameters=dict(self._service.attributes),
            HealthStatus="HEALTHY",
        )

    def _place(self, attributes: dict[str, str]) -> Place | None:
        address = next((attributes[key] for key in _KEYS[self._service.ip_preference] if attributes.get(key)), None)
        if address is None:
            return None
        port = attributes.get(PORT, "")
        return Place(at_port(address, int(port) if port.isdecimal() else self._port), zone=attributes.get(ZONE, ""))
