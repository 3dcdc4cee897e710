import pytest

from mesh_model.access import Access, Rule, Tokens, access_of
from mesh_model.tag_words import TagProblem


def test_a_node_without_rules_is_open_to_everybody() -> None:
    assert access_of({"service": "api"}) is None


def test_rules_name_callers_methods_paths_and_claims() -> None:
    tags = {
        "allow.web": "from=spiffe://shop/web+spiffe://shop/jobs/ method=GET+POST path=/pay prefix=/api/+/v2/",
        "deny.admin": "prefix=/admin/ claim.role=guest",
        "jwt": "issuer=https://login.shop keys=/etc/keys.json audience=shop+web leeway=1m optional",
    }
    assert access_of(tags) == Access(
        allow=(Rule("allow.web", ("spiffe://shop/web", "spiffe://shop/jobs/"), ("GET", "POST"), ("/pay",), ("/api/", "/v2/")),),
        deny=(Rule("deny.admin", prefixes=("/admin/",), claims=(("role", ("guest",)),)),),
        tokens=Tokens("https://login.shop", "/etc/keys.json", ("shop", "web"), 60.0, optional=True),
    )


@pytest.mark.parametrize(
    ("word", "text", "told"),
    [
        ("allow.web", "", "a rule without a condition"),
        ("allow.web", "who=spiffe://shop/web", "`who=spiffe://shop/web` is not understood"),
        ("allow.web", "method=get", "got `get`"),
        ("deny.web", "path=admin", "got `admin`"),
        ("allow.web", "from=", "got ``"),
        ("allow.web", "from=a from=b", "names something twice"),
        ("allow.web", "claim.role=admin", "a rule asks for a claim and no token is believed"),
        ("jwt", "issuer=https://login.shop", "`issuer` or `keys` is missing"),
        ("jwt", "issuer=a keys=b leeway=soon", "got `soon`"),
        ("jwt", "issuer=a keys=b maybe", "`maybe` is not understood"),
    ],
)
def test_a_wrong_tag_is_told_what_is_wrong(word: str, text: str, told: str) -> None:
    with pytest.raises(TagProblem, match="expected") as caught:
        access_of({word: text})
    assert told in str(caught.value)
