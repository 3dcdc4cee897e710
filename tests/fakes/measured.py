"""An engine that answers alerting's questions with what a test says."""

from collections.abc import Mapping
from typing import Any


class Measured:
    """Services and their metrics; a missing one had no calls. ``broken`` is raised instead of an answer."""

    def __init__(self, **services: dict[str, float]) -> None:
        self.services = services
        self.broken: Exception | None = None
        self.asked = 0

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.asked += 1
        if self.broken is not None:
            raise self.broken
        wanted = parameters["service"]
        return [{"service": name, **values} for name, values in self.services.items() if wanted in ("*", name)]
