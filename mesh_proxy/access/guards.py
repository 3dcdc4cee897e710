"""From the tags of a node to the guard of its ingress."""

from collections.abc import Mapping

from mesh_model.access import Tokens as TokensSpec
from mesh_model.access import access_of
from mesh_proxy.access.guard import Believer, Guard


def guard_of(tags: Mapping[str, str], present: Guard | None) -> Guard | None:
    """Return who stands at the ingress, ``present`` if nothing changed; None: nobody. Raises KeysUnusable."""
    access = access_of(tags)
    if access is None or (present is not None and present.access == access):
        return present if access is not None else None
    return Guard(access, _tokens(access.tokens) if access.tokens is not None else None)


def _tokens(spec: TokensSpec) -> Believer:
    from mesh_proxy.access.token_keys import TokenKeys  # noqa: PLC0415 - 17 MB that only proxies that believe tokens pay
    from mesh_proxy.access.tokens import Tokens  # noqa: PLC0415

    return Tokens(spec, TokenKeys(spec.keys))
