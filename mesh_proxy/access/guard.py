"""Who may pass the ingress: every request is judged by its caller's certificate, its token, its method and its path."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from mesh_model.access import ANYONE, Access, Rule
from mesh_proxy.exchange.rescue import Rescue
from mesh_proxy.http.request import RequestHead
from mesh_proxy.http.wire import plain_path
from mesh_proxy.targets.circuit import Change
from mesh_proxy.tls.peer import Peer

_ASK = (b"www-authenticate: Bearer\r\n",)
FORBIDDEN = Rescue("UAEX", 403, "RBAC: access denied", "denied")
AUTHORIZATION = b"authorization:"
NO_CLAIMS: Mapping[str, Any] = MappingProxyType({})


class TokenRefused(Exception):
    """A token is not believed, or there is none; ``reason`` is one of few."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def rescue(self) -> Rescue:
        """How the request is answered, in Envoy's words."""
        return _ANSWERS.get(self.reason, _NOT_BELIEVED)


_NOT_BELIEVED = Rescue("UAEX", 401, "Jwt verification fails", "denied", _ASK)
_ANSWERS = {
    "jwt_missing": Rescue("UAEX", 401, "Jwt is missing", "denied", _ASK),
    "jwt_expired": Rescue("UAEX", 401, "Jwt is expired", "denied", _ASK),
    "jwt_not_yet_valid": Rescue("UAEX", 401, "Jwt not yet valid", "denied", _ASK),
    "jwt_wrong_issuer": Rescue("UAEX", 401, "Jwt issuer is not configured", "denied", _ASK),
    "jwt_wrong_audience": Rescue("UAEX", 403, "Audiences in Jwt are not allowed", "denied"),
}


class Believer(Protocol):
    """Judges tokens."""

    def claims(self, token: bytes | None, now: float) -> Mapping[str, Any]:
        """Return what a token claims (nothing without one, if that is allowed). Raises TokenRefused."""
        ...

    def second(self, now: float) -> None:
        """A second has passed for the keys; ``now`` is a moment of the monotonic clock."""
        ...

    def stop(self) -> None:
        """Follow the keys no more."""
        ...


class Guard:
    """Judges requests. ``denied`` counts the refused ones by reason: ``rule``, ``no_rule``, or what is wrong with the token."""

    def __init__(self, access: Access, tokens: Believer | None) -> None:
        self.access, self.tokens = access, tokens
        self.denied: Counter[str] = Counter()
        self._told: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Guard {len(self.access.allow)} allow, {len(self.access.deny)} deny, denied {dict(self.denied)}>"

    def judge(self, peer: Peer | None, head: RequestHead, now: float) -> Rescue | None:
        """Return how the request is refused; None: it passes. ``now`` is in seconds since the epoch."""
        claims: Mapping[str, Any] = NO_CLAIMS
        if self.tokens is not None:
            try:
                claims = self.tokens.claims(bearer_of(head.lines), now)
            except TokenRefused as refused:
                self.denied[refused.reason] += 1
                return refused.rescue
        path, method = _path(head.path), head.method.decode("ascii", "replace")
        if any(fits(rule, peer, method, path, claims) for rule in self.access.deny):
            self.denied["rule"] += 1
            return FORBIDDEN
        if self.access.allow and not any(fits(rule, peer, method, path, claims) for rule in self.access.allow):
            self.denied["no_rule"] += 1
            return FORBIDDEN
        return None

    def second(self, now: float) -> list[Change]:
        """Follow the keys; return what was denied since the last time, by reason: many refusals are one event."""
        if self.tokens is not None:
            self.tokens.second(now)
        news = self.denied - self._told
        self._told = self.denied.copy()
        return [Change("mesh.access", "denied", reason, numbers=(("denied", count),)) for reason, count in news.items()]

    def stop(self) -> None:
        """Follow the keys no more."""
        if self.tokens is not None:
            self.tokens.stop()


def fits(rule: Rule, peer: Peer | None, method: str, path: str, claims: Mapping[str, Any]) -> bool:
    """Whether a rule speaks of such a request; somebody without a certificate is no caller that a rule names."""
    return (
        (not rule.callers or (peer is not None and _is_one_of(peer, rule.callers)))
        and (not rule.methods or method in rule.methods)
        and (not (rule.paths or rule.prefixes) or path in rule.paths or path.startswith(rule.prefixes))
        and all(_has(claims.get(name), values) for name, values in rule.claims)
    )


def bearer_of(lines: list[bytes]) -> bytes | None:
    """Return the one bearer token of a request; None when there is none. Raises TokenRefused when there are several."""
    found = [
        line[len(AUTHORIZATION) :].strip()
        for line in lines
        if line[:1] in b"Aa" and line[: len(AUTHORIZATION)].lower() == AUTHORIZATION
    ]
    if len(found) > 1:
        raise TokenRefused("jwt_malformed")
    if not found or found[0][:7].lower() != b"bearer ":
        return None
    return found[0][7:].strip()


def _path(path: bytes) -> str:
    """Return the path as applications will understand it: escapes could hide what a rule speaks of."""
    route = path.partition(b"?")[0]
    if b"%" in route:
        route = plain_path(unquote_to_bytes(route).replace(b"?", b"%3F"))
    return route.decode("utf-8", "replace")


def _is_one_of(peer: Peer, callers: tuple[str, ...]) -> bool:
    return ANYONE in callers or any(
        name == caller or (caller.endswith("/") and name.startswith(caller)) for name in peer.names for caller in callers
    )


def _has(claim: object, values: tuple[str, ...]) -> bool:
    """Whether a claim has one of the values; a list has them all, and so has a text of words (as ``scope`` is)."""
    if isinstance(claim, str):
        return claim in values or any(word in values for word in claim.split())
    if isinstance(claim, list):
        return any(_has(each, values) for each in claim if not isinstance(each, list))
    return isinstance(claim, bool | int) and str(claim).lower() in values
