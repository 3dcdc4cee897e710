"""Who may call a virtual node: rules in its tags, with the meaning of Istio's AuthorizationPolicy.

``allow.<name>`` and ``deny.<name>`` are rules, ``jwt`` says whose tokens are believed. Tags are given by their word,
without the ``meshscope/`` before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mesh_model.tag_words import TagProblem, Words, duration_s

ALLOW, DENY, JWT = "allow", "deny", "jwt"
ANYONE = "any"
LEEWAY_S = 30.0
_RULE = (
    "such as `from=spiffe://shop/web method=GET+POST path=/pay`; also `prefix=/api/` and `claim.role=admin`; `+` stands for or"
)
_TOKENS = "such as `issuer=https://login.shop keys=/etc/login.json audience=shop`; also `leeway=30s` and `optional`"


@dataclass(frozen=True, slots=True)
class Rule:
    """Requests by one of the ``callers``, with one of the ``methods``, to one of the paths, with all ``claims``; empty: any.

    A caller is named exactly, or by a beginning that ends with a slash, or ``any``: whoever has a certificate.
    A claim has one of its values.
    """

    name: str
    callers: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    claims: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Tokens:
    """Which JSON web tokens are believed: of one issuer, signed by ``keys`` (path or URL of a key set), for an audience.

    ``optional``: requests without a token pass, and it is up to the rules what they may do.
    """

    issuer: str
    keys: str
    audiences: tuple[str, ...] = ()
    leeway_s: float = LEEWAY_S
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """What is refused: all that a ``deny`` rule fits, and, if there are ``allow`` rules, all that none of them fits."""

    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    tokens: Tokens | None = None


def access_of(tags: Mapping[str, str]) -> Access | None:
    """Return who may call the node with these tags; None: everybody. Raises TagProblem."""
    allow, deny = _rules(tags, ALLOW), _rules(tags, DENY)
    tokens = _tokens(tags[JWT]) if JWT in tags else None
    if tokens is None and any(rule.claims for rule in (*allow, *deny)):
        raise TagProblem("a rule asks for a claim and no token is believed", "the tag `meshscope/jwt` too")
    return Access(allow, deny, tokens) if allow or deny or tokens else None


def _rules(tags: Mapping[str, str], kind: str) -> tuple[Rule, ...]:
    return tuple(_rule(word, text) for word, text in tags.items() if word == kind or word.startswith(f"{kind}."))


def _rule(name: str, text: str) -> Rule:
    words = Words(text, _RULE)
    claims = sorted(word.partition("=")[0] for word in text.split() if word.startswith("claim."))
    rule = Rule(
        name,
        callers=words.named("from", _alternatives, ()),
        methods=words.named("method", _methods, ()),
        paths=words.named("path", _paths, ()),
        prefixes=words.named("prefix", _paths, ()),
        claims=tuple((claim.removeprefix("claim."), words.named(claim, _alternatives, ())) for claim in claims),
    )
    words.done()
    if text.split() == []:
        raise TagProblem("a rule without a condition", _RULE)
    return rule


def _tokens(text: str) -> Tokens:
    words = Words(text, _TOKENS)
    optional = "optional" in text.split() and words.word(str) == "optional"
    tokens = Tokens(
        issuer=words.named("issuer", _some, ""),
        keys=words.named("keys", _some, ""),
        audiences=words.named("audience", _alternatives, ()),
        leeway_s=words.named("leeway", duration_s, LEEWAY_S),
        optional=optional,
    )
    words.done()
    if not tokens.issuer or not tokens.keys:
        raise TagProblem("`issuer` or `keys` is missing", _TOKENS)
    return tokens


def _some(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


def _alternatives(text: str) -> tuple[str, ...]:
    return tuple(_some(each) for each in text.split("+"))


def _methods(text: str) -> tuple[str, ...]:
    methods = _alternatives(text)
    if not all(method.isalpha() and method.isupper() for method in methods):
        raise ValueError(text)
    return methods


def _paths(text: str) -> tuple[str, ...]:
    paths = _alternatives(text)
    if not all(path.startswith("/") for path in paths):
        raise ValueError(text)
    return paths
