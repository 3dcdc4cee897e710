"""Alerts from a list."""

from collections.abc import Sequence

from core.faults import Fault
from storage.state.alert_store import AlertRecord, Delivery


class FakeAlertReader:
    def __init__(
        self, alerts: Sequence[AlertRecord] = (), deliveries: Sequence[Delivery] = (), *, fault: Fault | None = None
    ) -> None:
        self.known, self.sent, self.fault = alerts, deliveries, fault

    async def alerts(self) -> Sequence[AlertRecord]:
        if self.fault:
            raise self.fault
        return self.known

    async def deliveries(self, limit: int) -> Sequence[Delivery]:
        return self.sent[:limit]
