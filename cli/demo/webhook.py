"""The demo's webhook: prints each notification that arrives."""

from typing import Any

from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Webhook:
    """Receives Alertmanager's webhook format."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.received: list[dict[str, Any]] = []
        self.app = Starlette(routes=[Route("/alerts", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        notification = await request.json()
        self.received.append(notification)
        for alert in notification["alerts"]:
            name, summary = alert["labels"]["alertname"], alert["annotations"].get("summary", "")
            self._console.print(
                f"webhook: {alert['status']} {name}: {summary}", style="bold yellow", markup=False, highlight=False
            )
        return Response(status_code=204)
