"""JSON web tokens: whom they are from, whom they are for, and whether they hold now; verified by PyJWT.

PyJWT and what it needs take 17 MB, so this is imported only by proxies that believe tokens.
"""

from collections.abc import Mapping
from typing import Any

import jwt
from jwt import exceptions

from mesh_model import access
from mesh_proxy.access.guard import NO_CLAIMS, TokenRefused
from mesh_proxy.access.token_keys import TokenKeys

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Those with a public key: a key set may be public."""

LONGEST_TOKEN = 16_384
REMEMBERED = 1024
_TIMES_LATER = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}  # they change, the rest of a verdict does not
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.InvalidIssuerError, "jwt_wrong_issuer"),
    (exceptions.InvalidAudienceError, "jwt_wrong_audience"),
    (exceptions.InvalidSignatureError, "jwt_not_signed"),
    (exceptions.DecodeError, "jwt_malformed"),
)


class Tokens:
    """Verifies tokens and remembers those that were good, so that a signature is computed once."""

    def __init__(self, spec: access.Tokens, keys: TokenKeys) -> None:
        self.spec, self.keys = spec, keys
        self._good: dict[bytes, dict[str, Any]] = {}
        self._version = keys.version

    def __repr__(self) -> str:
        return f"<Tokens of {self.spec.issuer}, {len(self._good)} remembered, {self.keys!r}>"

    def claims(self, token: bytes | None, now: float) -> Mapping[str, Any]:
        """Return what a token claims; nothing without one, if that is allowed. Raises TokenRefused."""
        if token is None:
            if self.spec.optional:
                return NO_CLAIMS
            raise TokenRefused("jwt_missing")
        if self._version != self.keys.version:
            self._good.clear()
            self._version = self.keys.version
        claims = self._good.get(token)
        if claims is None:
            claims = self._verify(token)
            if len(self._good) >= REMEMBERED:
                del self._good[next(iter(self._good))]
            self._good[token] = claims
        leeway = self.spec.leeway_s
        if now >= _moment(claims, "exp", float("inf")) + leeway:
            raise TokenRefused("jwt_expired")
        if now < _moment(claims, "nbf", 0.0) - leeway:
            raise TokenRefused("jwt_not_yet_valid")
        return claims

    def second(self, now: float) -> None:
        """A second has passed for the keys."""
        self.keys.second(now)

    def stop(self) -> None:
        """Follow the keys no more."""
        self.keys.stop()

    def _verify(self, token: bytes) -> dict[str, Any]:
        if len(token) > LONGEST_TOKEN:
            raise TokenRefused("jwt_malformed")
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except exceptions.InvalidTokenError:
            raise TokenRefused("jwt_malformed") from None
        keys = self.keys.called(kid)
        if not keys:
            raise TokenRefused("jwt_unknown_key")
        refused = TokenRefused("jwt_malformed")
        for key in keys:
            try:
                return self._decoded(token, key)
            except (exceptions.PyJWTError, ValueError) as error:
                refused = TokenRefused(next((reason for kind, reason in _REASONS if isinstance(error, kind)), "jwt_not_believed"))
        raise refused

    def _decoded(self, token: bytes, key: jwt.PyJWK) -> dict[str, Any]:
        audiences = list(self.spec.audiences)
        options: Any = {**_TIMES_LATER, "verify_aud": bool(audiences), "require": ["iss", *(["aud"] if audiences else [])]}
        return jwt.decode(token, key, algorithms=ALGORITHMS, audience=audiences or None, issuer=self.spec.issuer, options=options)


def _moment(claims: Mapping[str, Any], name: str, otherwise: float) -> float:
    """Return a time of a token; what is no time is not believed."""
    moment = claims.get(name, otherwise)
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        raise TokenRefused("jwt_malformed")
    return float(moment)
