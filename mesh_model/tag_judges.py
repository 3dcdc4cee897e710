"""Which of our tags belong on which resource, and whether they can be understood: a tag that is misspelt must not be silent.

A rule that nobody reads would leave a door open.
"""

from collections.abc import Mapping

from mesh_model.access import ALLOW, DENY, JWT, access_of
from mesh_model.door_policies import ADMISSION, CONCURRENCY
from mesh_model.node_policies import BALANCER, OUTLIER, PANIC, SLOW_START, STICKY, ZONE, balancing_of, outliers_of
from mesh_model.options import TAG_PREFIX
from mesh_model.route_policies import ABORT, DELAY, MIRROR, RATE_LIMIT, REQUEST, RESPONSE, door_policy_of, route_policy_of
from mesh_model.tag_words import TagProblem

_IDENTITY = ("service", "version")
_DOOR = (ALLOW, DENY, JWT, RATE_LIMIT, CONCURRENCY, ADMISSION)
_NODE = (*_IDENTITY, *_DOOR, BALANCER, STICKY, SLOW_START, PANIC, ZONE, OUTLIER)
_EDITS = tuple(f"{prefix}-{action}" for prefix in (REQUEST, RESPONSE) for action in ("set", "add", "remove"))
_ROUTE = (MIRROR, DELAY, ABORT, RATE_LIMIT, *_EDITS)
_GATEWAY = (*_IDENTITY, ALLOW, DENY, JWT, *_ROUTE)


def judge_node(tags: Mapping[str, str]) -> None:
    """Raise TagProblem if one of a virtual node's tags is not understood."""
    _known(tags, _NODE, "a virtual node")
    balancing_of(tags)
    outliers_of(tags)
    door_policy_of(tags)
    access_of(tags)


def judge_route(tags: Mapping[str, str]) -> None:
    """Raise TagProblem if one of the tags of a route, a gateway route or a virtual service is not understood."""
    _known(tags, _ROUTE, "a route or a virtual service")
    route_policy_of(tags)


def judge_gateway(tags: Mapping[str, str]) -> None:
    """Raise TagProblem if one of a virtual gateway's tags is not understood; those of routes are its routes' defaults."""
    _known(tags, _GATEWAY, "a virtual gateway")
    route_policy_of(tags)
    access_of(tags)


def judge_others(tags: Mapping[str, str]) -> None:
    """Raise TagProblem if a mesh or a virtual router has a tag of ours: there they say nothing."""
    _known(tags, (), "a mesh or a virtual router")


def _known(tags: Mapping[str, str], words: tuple[str, ...], where: str) -> None:
    for tag in tags:
        if _word(tag) not in words:
            there = ", ".join(f"`{TAG_PREFIX}{word}`" for word in words) or "none"
            raise TagProblem(f"`{TAG_PREFIX}{tag}` is no tag of {where}", f"one of {there}")


def _word(tag: str) -> str:
    """Return the word of a tag: rules have a name after a dot, edits a header after a slash."""
    edit, slash, _ = tag.partition("/")
    rule, dot, _ = tag.partition(".")
    if slash and edit in _EDITS:
        return edit
    return rule if dot and rule in (ALLOW, DENY) else tag
