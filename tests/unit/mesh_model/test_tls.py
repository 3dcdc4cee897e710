import pytest

from mesh_model.document import Problem, open_document
from mesh_model.tls import (
    Acm,
    ClientTls,
    FileCertificate,
    FileTrust,
    ListenerTls,
    Origination,
    Sds,
    Validation,
    originate,
    read_client_policy,
    read_listener_tls,
)

CERTIFICATE = "certificate: {file: {certificateChain: /c.pem, privateKey: /k.pem}}"
TRUST = "trust: {file: {certificateChain: /ca.pem}}"
FILES, ROOTS = FileCertificate("/c.pem", "/k.pem"), FileTrust("/ca.pem")


def listener(text: str) -> tuple[ListenerTls, list[str]]:
    problems: list[Problem] = []
    return read_listener_tls(open_document(text, problems)), [str(problem) for problem in problems]


def policy(text: str) -> tuple[ClientTls | None, list[str]]:
    problems: list[Problem] = []
    return read_client_policy(open_document(text, problems)), [str(problem) for problem in problems]


def test_a_listener_has_a_mode_a_certificate_and_whom_it_believes() -> None:
    names = "subjectAlternativeNames: {match: {exact: [spiffe://shop/web, web.local]}}"
    assert listener(f"{{mode: STRICT, {CERTIFICATE}, validation: {{{TRUST}, {names}}}}}") == (
        ListenerTls("STRICT", FILES, Validation(ROOTS, ("spiffe://shop/web", "web.local"))),
        [],
    )
    assert listener(f"{{mode: PERMISSIVE, {CERTIFICATE}}}") == (ListenerTls("PERMISSIVE", FILES), [])


def test_a_client_policy_says_what_the_client_insists_on() -> None:
    assert policy(f"tls: {{enforce: false, ports: [443, 8443], {CERTIFICATE}, validation: {{{TRUST}}}}}") == (
        ClientTls(Validation(ROOTS), enforce=False, ports=(443, 8443), certificate=FILES),
        [],
    )
    assert policy(f"tls: {{validation: {{{TRUST}}}}}") == (ClientTls(Validation(ROOTS)), [])
    assert policy("{}") == (None, [])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{{mode: strict, {CERTIFICATE}}}", "got `strict`; expected one of `STRICT`, `PERMISSIVE`, `DISABLED`"),
        ("{mode: STRICT}", "`certificate` is missing"),
        ("{mode: STRICT, certificate: {}}", "exactly one of `file`, `acm`, `sds`"),
        ("{mode: STRICT, certificate: {file: {certificateChain: /c.pem}}}", "`privateKey` is missing"),
        (f"{{mode: STRICT, {CERTIFICATE}, validation: {{}}}}", "`trust` is missing"),
        (f"{{mode: STRICT, {CERTIFICATE}, validation: {{trust: {{acm: {{}}}}}}}}", "unknown field `acm`"),
        (
            "{mode: PERMISSIVE, certificate: {acm: {certificateArn: a}}}",
            "`acm` cannot be served from a mesh file; expected `file`",
        ),
        ("{mode: STRICT, certificate: {sds: {secretName: a}}}", "`sds` cannot be served from a mesh file; expected `file`"),
        (f"{{mode: STRICT, {CERTIFICATE}, validation: {{trust: {{sds: {{secretName: a}}}}}}}}", "trust.sds: `sds` cannot be"),
        (
            f"{{mode: STRICT, {CERTIFICATE}, validation: {{{TRUST}, subjectAlternativeNames: {{match: {{exact: []}}}}}}}}",
            "got 0 entries",
        ),
    ],
)
def test_a_wrong_listener_is_told_what_is_wrong(text: str, told: str) -> None:
    problems = listener(text)[1]
    assert any(told in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"tls: {{enforce: 1, validation: {{{TRUST}}}}}", "got the number `1`; expected `true` or `false`"),
        (f"tls: {{ports: [0], validation: {{{TRUST}}}}}", "got 0; expected a whole number from 1 to 65535"),
        ("tls: {}", "`validation` is missing"),
        ("tls: {validation: {trust: {acm: {certificateAuthorityArns: [a, b, c, d]}}}}", "got 4 entries; expected 1 to 3"),
        ("tls: {validation: {trust: {acm: {certificateAuthorityArns: [a]}}}}", "`acm` cannot be served from a mesh file"),
        (f"tls: {{certificate: {{acm: {{}}}}, validation: {{{TRUST}}}}}", "unknown field `acm`"),
    ],
)
def test_a_wrong_client_policy_is_told_what_is_wrong(text: str, told: str) -> None:
    problems = policy(text)[1]
    assert any(told in problem for problem in problems), problems


def test_a_certificate_that_nobody_shows_may_come_from_anywhere() -> None:
    assert listener("{mode: DISABLED, certificate: {acm: {certificateArn: a}}}") == (ListenerTls("DISABLED", Acm(("a",))), [])
    assert listener("{mode: DISABLED, certificate: {sds: {secretName: a}}}") == (ListenerTls("DISABLED", Sds("a")), [])


STRICT, PERMISSIVE, DISABLED = ListenerTls("STRICT", FILES), ListenerTls("PERMISSIVE", FILES), ListenerTls("DISABLED", FILES)
ENFORCED = ClientTls(Validation(ROOTS), certificate=FILES)
WILLING = ClientTls(Validation(ROOTS), enforce=False)
ELSEWHERE = ClientTls(Validation(ROOTS), ports=(443,))
WITH_POLICY, UNVERIFIED = Origination(FILES, ROOTS, ("api.local",), "api.local"), Origination(server_name="api.local")
BY_WILL = Origination(None, ROOTS, ("api.local",), "api.local")


@pytest.mark.parametrize(
    ("client", "server", "expected"),
    [
        (None, None, None),
        (None, DISABLED, None),
        (None, PERMISSIVE, None),
        (None, STRICT, UNVERIFIED),
        (ENFORCED, None, WITH_POLICY),
        (ENFORCED, DISABLED, WITH_POLICY),
        (ENFORCED, STRICT, WITH_POLICY),
        (WILLING, None, None),
        (WILLING, DISABLED, None),
        (WILLING, PERMISSIVE, BY_WILL),
        (ELSEWHERE, PERMISSIVE, None),
        (ELSEWHERE, STRICT, UNVERIFIED),
    ],
)
def test_client_and_server_come_to_terms(
    client: ClientTls | None, server: ListenerTls | None, expected: Origination | None
) -> None:
    assert originate(client, server, 8080, ("api.local",)) == expected


def test_names_that_the_policy_gives_take_the_place_of_the_name_of_discovery() -> None:
    named = ClientTls(Validation(ROOTS, ("spiffe://shop/api",)))
    assert originate(named, STRICT, 1, ("api.local",)) == Origination(None, ROOTS, ("spiffe://shop/api",), "api.local")


def test_a_server_is_told_no_address_as_its_name() -> None:
    assert originate(ENFORCED, STRICT, 1, ("127.0.0.1",)) == Origination(FILES, ROOTS, ("127.0.0.1",))
    assert originate(ENFORCED, STRICT, 1, ("::1",)) == Origination(FILES, ROOTS, ("::1",))
