"""The dashboard in a real browser, against a query API that makes up a mesh."""

import importlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from dashboard.app import mount
from tests.fakes.browser import ARGS, CHROMIUM
from tests.fakes.query_api import HOSTILE, FakeQueryApi, Mood

PATIENCE_MS = 30_000  # a browser and its server may share a busy machine with others
NAVIGATION = [
    ("Topology", "/", "Topology", "#topology-graph canvas"),
    ("Service", "/service", "gateway", "#service-latency svg .scatterlayer .trace"),
    ("Traces", "/traces", "Traces", "#traces-grid .ag-row"),
    ("Circuit breakers", "/breakers", "Circuit breakers", "#breakers-timeline svg .barlayer .bars"),
    ("Alerts", "/alerts", "Alerts", "#alerts-list .badge"),
]


@dataclass
class Served:
    """The dashboard, served."""

    url: str
    mood: Mood


@dataclass
class Heard:
    """What a browser complained about, and where it wanted to go."""

    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    fake = FakeQueryApi()
    app = FastAPI()
    mount(app, httpx.AsyncClient(transport=httpx.ASGITransport(fake.app), base_url="http://api/api/v1"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive(), "the server ended"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", fake.mood)
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(browser: Browser, served: Served) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light", base_url=served.url)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, served: Served) -> Iterator[Page]:
    """A page of a browser that must not complain, and must not ask anybody but the server."""
    heard = Heard()
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("console", lambda told: heard.complaints.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: heard.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (heard.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda asked: None if asked.url.startswith((served.url, "data:", "blob:")) else heard.strangers.append(asked.url),
    )
    yield page
    served.mood.empty = served.mood.broken = served.mood.hostile = served.mood.thinned = False
    page.evaluate("localStorage.clear()")
    page.close()
    assert not heard.complaints
    assert not heard.strangers


def theme_of(page: Page) -> str:
    return str(page.evaluate("document.documentElement.dataset.theme"))


def ground_of(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


@pytest.mark.parametrize(("word", "path", "title", "content"), NAVIGATION, ids=[path for _, path, *_ in NAVIGATION])
def test_every_link_of_the_navigation_leads_to_a_page_that_shows_something(
    page: Page, word: str, path: str, title: str, content: str
) -> None:
    page.goto("/traces" if path == "/" else "/")
    link = page.locator("nav").get_by_role("link", name=word, exact=True)
    assert link.get_attribute("href") == path
    link.click()
    expect(page.locator("h1")).to_have_text(title)
    expect(page.locator(content).first).to_be_visible()
    expect(page.locator("nav a[aria-current=page]")).to_have_text(word)
    expect(page).to_have_title(re.compile("Meshscope$"))
    expect(page.locator(".notice")).to_have_count(0)
    page.goto(path)  # and directly
    expect(page.locator(content).first).to_be_visible()


def test_the_topology_draws_every_service_and_its_summary(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#topology-side .table tbody tr")).to_have_count(6)
    expect(page.locator(".tile")).to_have_count(4)
    page.wait_for_function("document.getElementById('topology-graph')?._cyreg?.cy.nodes('.card').length === 8")
    labels = page.evaluate("document.getElementById('topology-graph')._cyreg.cy.edges().map((e) => e.data('label'))")
    assert len(labels) == 8
    assert all(re.fullmatch(r"[\d.]+/s · .+%", label) for label in labels)


def test_a_click_on_a_box_shows_its_numbers_and_the_view_stays_over_live_updates(page: Page) -> None:
    page.goto("/")
    page.wait_for_function("document.getElementById('topology-graph')?._cyreg?.cy.scratch('meshscope')")
    look = """() => {
        const cy = document.getElementById('topology-graph')._cyreg.cy;
        const node = cy.getElementById('node:payments');
        return {zoom: cy.zoom(), pan: cy.pan(), at: node.position(), seen: node.renderedPosition()};
    }"""
    before = page.evaluate(look)
    box = page.locator("#topology-graph").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + before["seen"]["x"], box["y"] + before["seen"]["y"])
    expect(page.locator("#topology-side h2").first).to_have_text("payments")
    assert "node=payments" in page.url
    note = page.locator("#topology-note").inner_text()
    expect(page.locator("#topology-note")).not_to_have_text(note)  # a live update came
    assert page.evaluate(look) == before
    expect(page.locator("#topology-side h2").first).to_have_text("payments")
    links = {link.inner_text(): link.get_attribute("href") for link in page.locator("#topology-side .button").all()}
    assert links == {
        "Service": "/service?service=payments",
        "Traces": "/traces?service=payments",
        "Breakers": "/breakers?service=payments",
    }


def test_an_edge_can_be_linked_to(page: Page) -> None:
    page.goto("/?edge=payments~ledger&since=1h")
    expect(page.locator("#topology-side h2").first).to_have_text("payments → ledger")
    expect(page.locator("#topology-side")).to_contain_text("Seen from both sides")
    legs = page.locator("#topology-side .legs")
    expect(legs.locator("tbody td:first-child")).to_have_text(
        ["payments → its proxy", "proxy → proxy", "proxy → ledger", "in ledger itself"]
    )
    shares = legs.locator(".legs-bar > span").evaluate_all(
        "(bars) => bars.map((b) => b.offsetWidth / b.parentElement.offsetWidth)"
    )
    assert all(abs(share - told) < 0.03 for share, told in zip(shares, (0.06, 0.13, 0.05, 0.76), strict=True)), shares
    expect(page.locator("#ranges [aria-current]")).to_have_text("1h")
    page.locator("#topology-side").get_by_role("link", name="A failed one").click()
    expect(page).to_have_url(re.compile(r"/trace\?.*id=[0-9a-f]{32}"))
    expect(page.locator(".wf-row").first).to_be_visible()
    page.goto("/?edge=ledger~postgres")
    expect(page.locator("#topology-side h2").first).to_have_text("ledger → postgres")
    expect(page.locator("#topology-side .legs")).to_have_count(0)


def test_the_url_is_the_state_of_the_service_page(page: Page) -> None:
    page.goto("/service?service=payments&since=1h&by=version")
    for _ in ("first", "reloaded"):
        expect(page.locator("h1")).to_have_text("payments")
        expect(page.locator("#ranges [aria-current]")).to_have_text("1h")
        expect(page.locator("#service-splits [aria-current]")).to_have_text("By version")
        expect(page.locator("#service-rate .legendtext")).to_have_text(["v1", "v2"])
        expect(page.locator("#service-versions tbody tr")).to_have_count(2)
        page.reload()
    page.get_by_role("link", name="By route").click()
    expect(page).to_have_url(re.compile(r"by=route"))
    expect(page.locator("#service-rate .legendtext").first).to_have_text("/payments")
    page.get_by_role("link", name="By zone").click()
    expect(page.locator("#service-rate .legendtext").first).to_have_text("eu-central-1a")
    expect(page.locator("#service-versions tbody tr").first.get_by_role("link", name="Slowest")).to_have_attribute(
        "href", re.compile(r"/trace\?since=1h&id=[0-9a-f]{32}$")
    )
    page.get_by_role("link", name="By route").click()
    page.get_by_role("link", name="6h").click()
    expect(page).to_have_url(re.compile(r"since=6h"))
    page.locator("input#service--service").click()
    page.get_by_role("option", name="ledger").click()
    expect(page).to_have_url(re.compile(r"service=ledger"))
    expect(page.locator("h1")).to_have_text("ledger")
    assert "by=route" in page.url
    page.go_back()
    expect(page.locator("h1")).to_have_text("payments")
    expect(page.locator("input#service--service")).to_have_value("payments")


def test_links_take_the_time_range_along(page: Page) -> None:
    page.goto("/service?service=payments&since=6h")
    expect(page.locator("nav a").nth(2)).to_have_attribute("href", "/traces?since=6h")


def test_filters_of_the_traces_page_change_the_url_and_the_list(page: Page) -> None:
    page.goto("/traces?service=notifications")
    expect(page.locator("#traces-grid .ag-row").first).to_contain_text("notifications")
    expect(page.locator("input#traces--service")).to_have_value("notifications")
    page.goto("/traces")
    page.get_by_role("switch").click()
    expect(page).to_have_url(re.compile(r"error=true"))
    expect(page.locator("#traces-grid .ag-row .cell-mark").first).to_be_visible()
    page.locator("input#traces--limit").click()
    page.get_by_role("option", name="20", exact=True).click()
    expect(page).to_have_url(re.compile(r"limit=20"))
    expect(page.locator("#traces-note")).to_contain_text("20 traces")
    page.goto("/traces?version=v2")
    page.locator(".chip.removable").click()
    expect(page).to_have_url(re.compile(r"/traces$"))


def test_the_attribute_filter_suggests_names_then_values(page: Page) -> None:
    page.goto("/traces")
    field = page.get_by_label("Attribute")
    field.fill("db")
    page.get_by_role("option", name="db.system=", exact=True).click()
    expect(field).to_have_value("db.system=")
    assert "attribute" not in page.url
    field.press_sequentially("p")
    page.get_by_role("option", name="db.system=postgresql").click()
    expect(page).to_have_url(re.compile(r"attribute=db.system(=|%3D)postgresql"))
    page.goto("/traces?attribute=peer.service%3Dnobody")
    expect(page.locator("#traces-empty")).to_contain_text("fits these filters")
    expect(field).to_have_value("peer.service=nobody")
    field.fill("")
    expect(page).to_have_url(re.compile(r"/traces$"))
    expect(page.locator("#traces-grid .ag-row").first).to_be_visible()


def test_a_trace_unfolds_its_spans_and_their_attributes(page: Page) -> None:
    page.goto("/traces?error=true")
    page.locator("#traces-grid .ag-row a").first.click()
    expect(page).to_have_url(re.compile(r"/trace\?id=[0-9a-f]{32}"))
    expect(page.locator(".wf-row").first).to_be_visible()
    every = page.locator(".wf-row").count()
    expect(page.locator(".wf-row.proxy").first).to_be_visible()
    page.locator(".wf-row").nth(1).click()
    expect(page).to_have_url(re.compile(r"span=[0-9a-f]{16}"))
    expect(page.locator("#trace-side")).to_contain_text("http.request.method")
    page.get_by_role("link", name="App spans only").click()
    expect(page.locator(".wf-row").nth(every - 1)).to_have_count(0)
    assert 1 < page.locator(".wf-row").count() < every
    assert "span=" in page.url


def test_a_list_and_a_page_say_that_traces_were_thinned(page: Page, served: Served) -> None:
    page.goto("/traces")
    expect(page.locator("#traces-grid .ag-row").first).to_be_visible()
    expect(page.get_by_role("note")).to_have_count(0)
    served.mood.thinned = True
    page.goto("/traces?limit=20")
    expect(page.get_by_role("note")).to_contain_text(re.compile("3.155 of 31.775 traces"))
    number = int(time.time() / 3) // 3 * 3
    page.goto(f"/trace?id={number:032x}")
    expect(page.get_by_role("note")).to_contain_text("no longer kept")
    expect(page.locator("#trace-rows")).to_contain_text("No spans to draw")
    expect(page.locator("h1")).to_contain_text("gateway")
    page.goto(f"/trace?id={number + 1 - 3:032x}")
    expect(page.get_by_role("note")).to_contain_text(re.compile(r"Only 1 of \d+ spans are kept"))
    expect(page.locator(".wf-row")).to_have_count(1)
    page.goto(f"/trace?id={number + 2 - 3:032x}")
    expect(page.locator("#trace-note")).to_contain_text("kept because it failed and was slow for its route")
    expect(page.get_by_role("note")).to_have_count(0)


def test_the_theme_follows_the_system_at_first_and_the_switch_from_then_on(browser: Browser, served: Served, page: Page) -> None:
    context = browser.new_context(color_scheme="dark", base_url=served.url)
    dark = context.new_page()
    dark.goto("/")
    assert theme_of(dark) == "dark"
    context.close()
    page.goto("/")
    assert theme_of(page) == "light"
    light = ground_of(page)
    page.wait_for_function("document.getElementById('topology-graph')?._cyreg?.cy.nodes('.card').length")
    card = "document.getElementById('topology-graph')._cyreg.cy.getElementById('node:gateway').style('background-color')"
    light_card = page.evaluate(card)
    page.locator("#theme-switch").click()
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    assert ground_of(page) != light
    page.wait_for_function(f"{card} !== '{light_card}'")
    page.reload()
    assert theme_of(page) == "dark"
    page.goto("/service?service=payments")
    tick = page.locator("#service-rate .xtick text").first
    expect(tick).to_be_visible()
    assert tick.evaluate("(text) => getComputedStyle(text).fill") == "rgb(163, 175, 189)"


@pytest.mark.parametrize(
    "path", ["/", "/service?service=payments", "/traces", "/trace?id=" + "0" * 31 + "5", "/breakers", "/alerts"]
)
def test_an_api_that_fails_is_told_kindly(page: Page, served: Served, path: str) -> None:
    served.mood.broken = True
    page.goto(path)
    expect(page.get_by_role("alert")).to_contain_text("The store is not available")
    expect(page.locator("body")).not_to_contain_text("Traceback")


def test_a_page_recovers_by_itself_and_keeps_what_it_showed(page: Page, served: Served) -> None:
    page.goto("/alerts")
    expect(page.locator("#alerts-list .badge").first).to_be_visible()
    served.mood.broken = True
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("#alerts-list .badge").first).to_be_visible()
    served.mood.broken = False
    expect(page.get_by_role("alert")).to_have_count(0)


def test_what_does_not_exist_is_told_kindly(page: Page) -> None:
    page.goto("/service?service=nobody")
    expect(page.get_by_role("alert")).to_contain_text("nobody")
    page.goto("/trace?id=" + "f" * 32)
    expect(page.get_by_role("alert")).to_contain_text("No such trace")
    page.goto("/nowhere")
    expect(page.locator("h1")).to_have_text("No such page")


@pytest.mark.parametrize("path", ["/", "/service", "/traces", "/breakers"])
def test_without_telemetry_a_page_says_what_to_do(page: Page, served: Served, path: str) -> None:
    served.mood.empty = True
    page.goto(path)
    expect(page.locator(".empty-title").first).to_be_visible()
    if path != "/breakers":
        expect(page.locator(".empty").first).to_contain_text("4318")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/service?service=" + HOSTILE,
        "/traces",
        "/trace?id=" + HOSTILE,
        "/breakers",
        "/alerts",
        "/?node=" + HOSTILE,
    ],
)
def test_a_hostile_name_is_text(page: Page, served: Served, path: str) -> None:
    served.mood.hostile = True
    page.goto(path.replace("<", "%3C").replace(">", "%3E").replace(" ", "%20"))
    expect(page.locator("h1")).to_be_visible()
    expect(page.get_by_text(HOSTILE[:12]).first).to_be_attached()
    assert page.locator("img[src=x]").count() == 0


def test_live_updates_can_be_paused(page: Page) -> None:
    page.goto("/alerts")
    expect(page.locator("#alerts-list .badge").first).to_be_visible()
    page.locator("#live").click()
    expect(page.locator("#live")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#live")).to_have_text("Paused")


@pytest.mark.parametrize("path", ["/", "/service?service=payments&by=version", "/traces", "/breakers", "/alerts"])
def test_a_page_fits_its_window(page: Page, path: str) -> None:
    page.goto(path)
    expect(page.locator(".tile, .ag-row").first).to_be_visible()
    for width in (1440, 1024):
        page.set_viewport_size({"width": width, "height": 768})
        page.wait_for_function(f"document.documentElement.scrollWidth <= {width} && innerWidth === {width}")


def test_every_page_module_opens_with_what_it_is_for() -> None:
    for name in ("topology", "service", "traces", "trace", "breakers", "alerts"):
        module = importlib.import_module(f"dashboard.pages.{name}")
        assert module.__doc__
        assert module.PATH.startswith("/")
