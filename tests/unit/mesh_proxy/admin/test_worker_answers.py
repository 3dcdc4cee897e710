import json

from mesh_proxy.admin.worker_answers import Answer, together

PAGE = """# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{route="/a{b}"} 1
calls_total 2
# TYPE open gauge
open 3
"""


def test_samples_of_one_metric_stand_beside_each_other_and_name_their_worker() -> None:
    text = Answer(200, "text/plain; version=0.0.4", PAGE.encode())
    page = together({0: text, 1: text})
    assert (page.status, page.content_type) == (200, "text/plain; version=0.0.4")
    assert page.body.decode().splitlines() == [
        "# HELP calls_total Calls.",
        "# TYPE calls_total counter",
        'calls_total{worker="0",route="/a{b}"} 1',
        'calls_total{worker="0"} 2',
        'calls_total{worker="1",route="/a{b}"} 1',
        'calls_total{worker="1"} 2',
        "# TYPE open gauge",
        'open{worker="0"} 3',
        'open{worker="1"} 3',
    ]


def test_one_that_does_not_answer_makes_the_page_unavailable() -> None:
    page = together({0: Answer(200, "application/json", b'{"state": "ready"}'), 1: None})
    assert page.status == 503
    assert json.loads(page.body) == {"workers": {"0": {"state": "ready"}, "1": None}}
    assert together({}).status == 404
    assert page.encoded().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
