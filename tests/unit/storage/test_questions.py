"""How a question is made of its file."""

from storage.telemetry.questions import question


def test_a_condition_stands_only_when_it_matters() -> None:
    plain, by_service = question("traces"), question("traces", "service")
    assert "{service:String}" not in plain
    assert "AND s.service = {service:String}\n" in by_service
    assert "{version:String}" not in by_service


def test_comments_are_left_out_and_values_are_not() -> None:
    asked = question("trace_spans")
    assert "--" not in asked
    assert "startsWith(v, '\\0')" in asked
