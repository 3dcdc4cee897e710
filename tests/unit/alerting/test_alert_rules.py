from pathlib import Path

import pytest

from alerting.rules import RuleBook, RuleFileInvalid, load_rules, parse_rules

GOOD = """
repeat_interval = "1h"

[[webhooks]]
name = "ops"
url = "https://hooks.example/T0P-s3cret"

[[webhooks]]
name = "chat"
url = "http://127.0.0.1:1/x"

[[rules]]
name = "PaymentsErrors"
metric = "error_rate"
service = "payments"
threshold = 0.05
window = "1m"
for = "1m30s"
severity = "critical"
labels = { team = "money" }
annotations = { summary = "{{ labels.service }} fails {{ value | percent }}" }
notify = ["ops"]

[[rules]]
name = "SlowEdges"
metric = "p99_ms"
edge = { source = "*", destination = "payments" }
op = ">"
threshold = 250
"""
RULE = '[[rules]]\nname = "R"\nmetric = "error_rate"\nservice = "s"\nthreshold = 0.1\n'
HOOK = '[[webhooks]]\nname = "ops"\nurl = "https://hooks.example/T0P-s3cret"\n'


def test_a_rule_file_says_what_is_watched_and_who_is_told() -> None:
    book = parse_rules(GOOD)
    errors, slow = book.rules
    assert (errors.window, errors.hold, book.repeat_interval) == (60.0, 90.0, 3600.0)
    assert errors.labels_for(errors.subject) == {
        "alertname": "PaymentsErrors",
        "service": "payments",
        "severity": "critical",
        "team": "money",
    }
    assert slow.subject == {"source": "*", "destination": "payments"}
    assert (slow.hold, slow.severity) == (0.0, "warning")
    assert book.receivers("PaymentsErrors") == ("ops",)
    assert book.receivers("SlowEdges") == ("ops", "chat")
    assert book.receivers("Unknown") == ()


def test_a_condition_is_strict_and_no_value_never_meets_it() -> None:
    (rule,) = parse_rules(RULE).rules
    assert [rule.holds(value) for value in (None, 0.0, 0.1, 0.11)] == [False, False, False, True]
    (below,) = parse_rules(RULE + 'op = "<"\n').rules
    assert [below.holds(value) for value in (None, 0.0, 0.1, 0.11)] == [False, True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RULE + 'window = "soon"', 'file.toml: rule "R": window: expected a duration such as "30s", "5m" or "1h30m"'),
        (RULE + "window = 60", 'file.toml: rule "R": window: expected a duration such as "30s", "5m" or "1h30m"'),
        (RULE + 'window = "5s"', 'file.toml: rule "R": window: expected greater than or equal to 10'),
        (RULE + 'op = ">="', "file.toml: rule \"R\": op: expected '>' or '<'"),
        (RULE + "treshold = 1", 'file.toml: rule "R": treshold: there is no such field'),
        (RULE.replace("0.1", '"a lot"'), 'file.toml: rule "R": threshold: expected a valid number'),
        (RULE.replace("0.1", "5"), 'file.toml: rule "R": threshold: expected a share from 0 to 1 for error_rate'),
        (RULE.replace("0.1", "nan"), 'file.toml: rule "R": threshold: expected a finite number'),
        (RULE.replace("error_rate", "errors"), "file.toml: rule \"R\": metric: expected 'error_rate', 'rate', 'p50_ms'"),
        (RULE.replace('service = "s"\n', ""), 'file.toml: rule "R": expected either service = "..." or edge = {'),
        (RULE + 'edge = { source = "a", destination = "b" }', 'file.toml: rule "R": expected either service = "..." or edge'),
        (
            RULE.replace('service = "s"', 'edge = { source = "a", destination = "b" }\nwindow = "30s"'),
            'file.toml: rule "R": window: expected at least "1m", because edges are kept by the minute',
        ),
        (RULE.replace('service = "s"', 'edge = { source = "a" }'), "edge.destination: expected a value, but it is missing"),
        (RULE.replace('name = "R"\n', ""), "file.toml: rule number 1: name: expected a value, but it is missing"),
        (RULE + 'labels = { service = "x" }', 'file.toml: rule "R": labels: expected other names than service'),
        (RULE + 'labels = { "no-good" = "x" }', 'file.toml: rule "R": labels.no-good: '),
        (RULE + 'annotations = { summary = "{{ labels.nothing }}" }', "annotations.summary: expected a template that can"),
        (RULE + 'annotations = { summary = "{% if %}" }', "annotations.summary: expected a template that can"),
        (RULE + 'annotations = { summary = "{{ labels.__class__.__mro__ }}" }', "annotations.summary: expected a template"),
        (RULE + RULE, "file.toml: name: expected each rule to have its own name, but R is there twice"),
        (HOOK + HOOK, "file.toml: name: expected each webhook to have its own name, but ops is there twice"),
        (HOOK + RULE + 'notify = ["chat"]', 'file.toml: rule "R": notify: expected names of webhooks, but there is no chat'),
        ('repeat_interval = "1s"', "file.toml: repeat_interval: expected greater than or equal to 60"),
        ("[[rules]\n", "file.toml: expected TOML: "),
        ("rules = 3", "file.toml: rules: expected a valid tuple"),
        ("rules = [3]", "file.toml: rule number 1: "),
    ],
)  # fmt: skip
def test_a_bad_file_names_file_rule_field_and_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(RuleFileInvalid) as caught:
        parse_rules(text, name="file.toml")
    assert message in str(caught.value)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(RuleFileInvalid) as caught:
        parse_rules(RULE.replace("0.1", "-1") + 'window = "x"\nop = "!"', name="f")
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/T0P-s3cret",
        "T0P-s3cret",
        "https:///T0P-s3cret",
        "http://[T0P-s3cret",
        "http://h:99999/T0P-s3cret",
        r"http://h/\u0001T0P-s3cret",
    ],
)
def test_a_bad_webhook_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(RuleFileInvalid, match="expected an http:// or https:// URL with a host") as caught:
        parse_rules(HOOK.replace("https://hooks.example/T0P-s3cret", url))
    assert 'webhook "ops": url' in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_rule_book_never_shows_a_secret() -> None:
    book = parse_rules(HOOK + 'secret = "whsec_c2VjcmV0"\n')
    assert "s3cret" not in repr(book)
    assert "c2VjcmV0" not in repr(book)


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(RuleFileInvalid, match=r"nowhere\.toml: expected a readable TOML file: No such file"):
        load_rules(tmp_path / "nowhere.toml")


def test_the_example_file_is_good() -> None:
    book = load_rules(Path(__file__).parents[3] / "deploy" / "rules.example.toml")
    assert isinstance(book, RuleBook)
    assert {rule.metric for rule in book.rules} >= {"error_rate", "p99_ms", "rate"}
    assert any(rule.edge for rule in book.rules)
