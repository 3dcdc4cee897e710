"""From the tags of a node to the guard of its ingress."""

from collections.abc import Mapping

from core.faults import Fault
from mesh_model.access import Tokens as TokensSpec
from mesh_model.access import access_of
from mesh_model.tag_words import TagProblem
from mesh_proxy.guard import Believer, Guard


class AccessUnusable(Fault):
    """The tags that say who may call a node cannot be understood."""

    code = "access_unusable"


def guard_of(tags: Mapping[str, str], present: Guard | None) -> Guard | None:
    """Return who stands at the ingress, ``present`` if nothing changed; None: nobody. Raises AccessUnusable or KeysUnusable."""
    try:
        access = access_of(tags)
    except TagProblem as problem:
        raise AccessUnusable(f"the tags meshscope/allow, /deny and /jwt: {problem}") from problem
    if access is None or (present is not None and present.access == access):
        return present if access is not None else None
    return Guard(access, _tokens(access.tokens) if access.tokens is not None else None)


def _tokens(spec: TokensSpec) -> Believer:
    from mesh_proxy.token_keys import TokenKeys  # noqa: PLC0415 - 17 MB that only proxies that believe tokens pay
    from mesh_proxy.tokens import Tokens  # noqa: PLC0415

    return Tokens(spec, TokenKeys(spec.keys))
