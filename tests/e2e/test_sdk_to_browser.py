"""A program instrumented with opentelemetry-sdk, over both protocols, to the API and to a real browser."""

import re

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import SpanKind, format_trace_id
from playwright.sync_api import expect, sync_playwright

from tests.fakes.browser import ARGS, CHROMIUM
from tests.fakes.processes import Meshscope
from tests.fakes.traced import provider


def _exporters(meshscope: Meshscope) -> dict[str, SpanExporter]:
    return {
        "grpc": GrpcExporter(endpoint=f"http://127.0.0.1:{meshscope.otlp_grpc}", insecure=True),
        "http": HttpExporter(endpoint=meshscope.traces_url),
    }


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_trace_of_the_sdk_is_found_and_shown(meshscope: Meshscope, protocol: str) -> None:
    traced = provider(f"shop-{protocol}", _exporters(meshscope)[protocol])
    tracer = traced.get_tracer("tests")
    with tracer.start_as_current_span("GET /basket", kind=SpanKind.SERVER, attributes={"items": 0, "member": False}) as root:
        with tracer.start_as_current_span("load basket") as child:
            child.add_event("cache miss", {"key": "basket:7"})
        trace_id = format_trace_id(root.get_span_context().trace_id)
    traced.shutdown()  # sends what waits; with the answer it is committed

    (listed,) = meshscope.get("traces", service=f"shop-{protocol}")["traces"]
    assert (listed["trace_id"], listed["spans"], listed["root_name"]) == (trace_id, 2, "GET /basket")
    spans = meshscope.get(f"traces/{trace_id}")["spans"]
    assert [(span["name"], span["depth"], span["kind"]) for span in spans] == [
        ("GET /basket", 0, "server"),
        ("load basket", 1, "internal"),
    ]
    assert spans[0]["attributes"] == {"items": "0", "member": "false"}
    assert [(event["name"], event["attributes"]) for event in spans[1]["events"]] == [("cache miss", {"key": "basket:7"})]

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page = browser.new_page()
        page.goto(f"{meshscope.url}/traces?service=shop-{protocol}")
        expect(page.locator(".ag-row").first).to_contain_text("GET /basket", timeout=30_000)
        page.goto(f"{meshscope.url}/trace?id={trace_id}")
        expect(page.get_by_text(re.compile("load basket")).first).to_be_visible(timeout=30_000)
        browser.close()
