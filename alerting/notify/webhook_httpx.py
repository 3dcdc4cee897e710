"""Sends one notification to one webhook over httpx; knows the secret URLs and keeps them out of errors and logs."""

import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum

import httpx

from alerting.rules import Webhook
from storage.state.alert_store import Delivery

_HIDDEN = "(webhook URL hidden)"


class Verdict(StrEnum):
    """What a webhook's answer means."""

    ACCEPTED = "accepted"
    RETRY = "retry"  # 5xx, 429 or no answer: the same delivery may succeed later
    REFUSED = "refused"  # any other answer: it will not


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of an attempt; ``error`` never holds the URL, ``retry_after`` is in seconds when the webhook named it."""

    verdict: Verdict
    error: str | None = None
    retry_after: float | None = None


class WebhookSender:
    """Posts notifications with the headers of Standard Webhooks; a signature is added for a webhook that has a secret."""

    def __init__(self, client: httpx.AsyncClient, webhooks: Sequence[Webhook], *, timeout: float = 10.0) -> None:
        self._client = client
        self._webhooks: Mapping[str, Webhook] = {webhook.name: webhook for webhook in webhooks}
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"WebhookSender({sorted(self._webhooks)})"

    async def send(self, delivery: Delivery, now: float) -> Attempt:
        """Make one attempt; raises nothing of the network's and reads no answer's body."""
        webhook = self._webhooks[delivery.webhook]
        body = delivery.payload.encode()
        headers = {"content-type": "application/json", **signed(delivery.id, int(now), body, webhook)}
        url = webhook.url.get_secret_value()
        try:
            async with self._client.stream(
                "POST", url, content=body, headers=headers, timeout=self._timeout, follow_redirects=False
            ) as response:
                return judged(response.status_code, response.headers.get("retry-after"), now)
        except httpx.TimeoutException:
            return Attempt(Verdict.RETRY, "no answer in time")
        except httpx.InvalidURL:
            return Attempt(Verdict.REFUSED, "the URL of this webhook cannot be used")
        except httpx.HTTPError as error:
            return Attempt(Verdict.RETRY, f"no answer: {type(error).__name__}")

    @contextmanager
    def hidden_urls(self) -> Iterator[None]:
        """Keep the webhooks' URLs out of httpx's own log lines while this lasts."""
        hiding = _HidesUrls({str(httpx.URL(webhook.url.get_secret_value())) for webhook in self._webhooks.values()})
        logger = logging.getLogger("httpx")
        logger.addFilter(hiding)
        try:
            yield
        finally:
            logger.removeFilter(hiding)


def judged(status: int, retry_after: str | None, now: float) -> Attempt:
    """Return what an answer means: 2xx accepted, 429 and 5xx try again, everything else refused for good."""
    if 200 <= status < 300:
        return Attempt(Verdict.ACCEPTED)
    error = f"answered {status}"
    if status == 429 or status >= 500:
        return Attempt(Verdict.RETRY, error, _delay(retry_after, now))
    return Attempt(Verdict.REFUSED, error)


def signed(delivery_id: str, timestamp: int, body: bytes, webhook: Webhook) -> dict[str, str]:
    """Return the headers of Standard Webhooks (standardwebhooks.com): id and time, and the signature when there is a secret."""
    headers = {"webhook-id": delivery_id, "webhook-timestamp": str(timestamp)}
    if webhook.secret is not None:
        content = b".".join((delivery_id.encode(), str(timestamp).encode(), body))
        digest = hmac.new(_key(webhook.secret.get_secret_value()), content, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def _key(secret: str) -> bytes:
    prefix, found, rest = secret.partition("whsec_")
    if found and not prefix:
        try:
            return base64.b64decode(rest, validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def _delay(retry_after: str | None, now: float) -> float | None:
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        when = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now)


class _HidesUrls(logging.Filter):
    def __init__(self, urls: set[str]) -> None:
        super().__init__()
        self._urls = urls

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_HIDDEN if str(arg) in self._urls else arg for arg in record.args)
        return True
