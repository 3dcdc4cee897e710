"""The alerts page: what fires, why, and who was told."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dash import Dash, Output, html

from dashboard import links, live
from dashboard.answers import Alert, Alerts, Delivery
from dashboard.api import QueryApi
from dashboard.components import parts, units

PATH = "/alerts"
TITLE = "Alerts"
STATES: Mapping[str, tuple[str, str]] = {
    "firing": ("Firing", "bad"),
    "pending": ("Pending", "warn"),
    "resolved": ("Resolved", "ok"),
    "inactive": ("Inactive", "idle"),
}
STATUSES: Mapping[str, str] = {
    "delivered": "ok",
    "sent": "ok",
    "succeeded": "ok",
    "failed": "bad",
    "dead": "bad",
    "exhausted": "bad",
}
ORDER = list(STATES)


def layout(**_: str) -> Any:
    """Return the page before its first answer."""
    return html.Div(
        [
            parts.heading(TITLE, html.Span("Rules over golden signals and circuits", id="alerts-note")),
            *live.slots("alerts"),
            html.Div(parts.skeleton_tiles(4), id="alerts-tiles"),
            parts.panel("Alerts", html.Div(parts.skeleton(180), id="alerts-list"), note="firing first", classes="flush"),
            parts.panel(
                "Deliveries",
                html.Div(parts.skeleton(120), id="alerts-deliveries"),
                note="what webhooks were told",
                classes="flush",
            ),
        ],
        className="page page-alerts",
    )


def register(app: Dash, api: QueryApi) -> None:
    """Connect the page to the API."""

    async def answer(params: dict[str, str]) -> Sequence[Any]:
        found, now = await api.alerts(), api.now()
        return [
            f"Rules over golden signals and circuits, {live.as_of(now)}",
            tiles(found),
            listing(found.alerts, now, links.carried(params)),
            deliveries(found.deliveries, now),
        ]

    outputs = [Output(f"alerts-{name}", "children") for name in ("note", "tiles", "list", "deliveries")]
    live.fill(app, "alerts", PATH, outputs, answer)


def tiles(found: Alerts) -> Any:
    """Return the summary on top."""
    counts = {state: sum(1 for alert in found.alerts if alert.state == state) for state in STATES}
    failed = sum(1 for one in found.deliveries if STATUSES.get(one.status) == "bad")
    return parts.tiles(
        [
            parts.tile("Firing", str(counts["firing"]), note="need somebody now", tone="bad" if counts["firing"] else ""),
            parts.tile("Pending", str(counts["pending"]), note="not yet long enough", tone="warn" if counts["pending"] else ""),
            parts.tile("Resolved", str(counts["resolved"]), note="over again"),
            parts.tile("Failed deliveries", str(failed), note=f"of {len(found.deliveries)}", tone="bad" if failed else ""),
        ]
    )


def listing(alerts: Sequence[Alert], now: datetime, carried: links.Params) -> Any:
    """Return the alerts, those that fire first."""
    if not alerts:
        hint = [
            "Rules are checked by ",
            html.Code("meshscope alert"),
            " (and ",
            html.Code("meshscope up"),
            "); they appear here once they ran.",
        ]
        return parts.empty("No alerts", hint, icon_name="bell")
    rows = [_alert_row(alert, now, carried) for alert in sorted(alerts, key=_urgency)]
    heads = ("State", "Rule", "About", "Value", "Threshold", "Since")
    return parts.table(heads, rows, numeric=(3, 4, 5), caption="Alerts")


def _urgency(alert: Alert) -> tuple[int, float, str]:
    since = alert.active_since.timestamp() if alert.active_since else 0.0
    return (ORDER.index(alert.state) if alert.state in ORDER else len(ORDER), -since, alert.fingerprint)


def _alert_row(alert: Alert, now: datetime, carried: links.Params) -> Any:
    word, tone = STATES.get(alert.state, (alert.state, "idle"))
    summary = alert.annotations.get("summary") or alert.annotations.get("description") or ""
    rule = html.Div([html.Div(alert.rule.replace("_", " "), className="strong"), html.Div(summary, className="dim small")])
    chips = [_label(name, value, carried) for name, value in sorted(alert.labels.items())]
    exceeds = alert.state in ("firing", "pending")
    value = html.Span(units.plain(alert.value), className="exceeds" if exceeds else "")
    cells = [
        parts.badge(word, tone),
        rule,
        html.Div(chips, className="chips"),
        value,
        units.plain(alert.threshold),
        _since(alert, now),
    ]
    return parts.row(cells, numeric=(3, 4, 5), classes=f"alert {alert.state}")


def _label(name: str, value: str, carried: links.Params) -> Any:
    text = [html.Span(f"{name} ", className="dim"), value]
    if name in ("service", "source", "destination"):
        return html.A(text, href=links.href("/service", carried, service=value), className="chip linked")
    return html.Span(text, className="chip")


def _since(alert: Alert, now: datetime) -> Any:
    moment = alert.resolved_at if alert.state == "resolved" else alert.fired_at if alert.state == "firing" else alert.active_since
    if moment is None or alert.state == "inactive":
        return units.NONE
    return html.Span(units.ago(moment, now), title=f"{moment:%Y-%m-%d %H:%M:%S} UTC")


def deliveries(found: Sequence[Delivery], now: datetime) -> Any:
    """Return what was sent to webhooks."""
    if not found:
        return parts.empty(
            "Nothing was sent yet", "Add a webhook to a rule; each try to tell it shows up here.", icon_name="signal"
        )
    rows = [
        parts.row(
            [
                parts.badge(one.status.replace("_", " ").capitalize(), STATUSES.get(one.status, "warn")),
                html.Span(one.rule.replace("_", " "), className="strong"),
                html.Span(one.webhook, className="break"),
                html.Span(one.last_error or "", className="dim"),
                str(one.attempts),
                units.ago(one.at, now),
            ],
            numeric=(4, 5),
        )
        for one in found
    ]
    return parts.table(
        ("Status", "Rule", "Webhook", "Last error", "Attempts", "When"), rows, numeric=(4, 5), caption="Deliveries"
    )
