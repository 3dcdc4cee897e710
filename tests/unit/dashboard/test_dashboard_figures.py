"""Figures: answers in, pictures out."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dashboard.answers import BreakerEdge, Edge, Interval, Node, Point, Series, Span, Topology, Total, Trace
from dashboard.figures import charts, graph, graph_style, timeline, waterfall
from tests.fakes.query_api import HOSTILE

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOTAL = Total(10, 1, 1.0, 0.1, 1.0, 2.0, 3.0)


def series(group: str, *values: float | None) -> Series:
    points = [
        Point(NOW + timedelta(seconds=10 * place), value, value, value, value, value, value) for place, value in enumerate(values)
    ]
    return Series(group, points, TOTAL)


def span(key: str, parent: str | None, service: str, hop: str, *, at: float = 0, took: float = 1, error: bool = False) -> Span:
    return Span(key, parent, service, "v1", "node", hop, "GET /", "server", NOW, at, took, error, "", 0)


def trace(*spans: Span) -> Trace:
    services = sorted({one.service for one in spans})
    return Trace("0" * 32, NOW, 10.0, "a", "GET /", services, len(spans), 0, list(spans))


CALL = (
    span("1", None, "shop", "inbound", took=10),
    span("2", "1", "shop", "app", at=1, took=8),
    span("3", "2", "shop", "outbound", at=2, took=5),
    span("4", "3", "books", "inbound", at=3, took=4),
    span("5", "4", "books", "app", at=4, took=2),
    span("6", "2", "shop", "outbound", at=8, took=0, error=True),
)


class TestCharts:
    def test_one_group_is_one_filled_line(self) -> None:
        figure = charts.rate([series("", 1, None, 3)], NOW, NOW)
        (line,) = figure.data
        assert list(line.y) == [1, None, 3]
        assert line.fill == "tozeroy"
        assert figure.layout.showlegend is False

    def test_each_group_has_three_percentiles_of_one_colour(self) -> None:
        figure = charts.latency([series("v1", 1), series("v2", 2)], NOW, NOW)
        assert [line.name for line in figure.data] == ["v1 p99", "v1 p95", "v1 p50", "v2 p99", "v2 p95", "v2 p50"]
        assert len({line.line.color for line in figure.data}) == 2
        assert len({line.line.dash for line in figure.data}) == 3
        assert [list(line.y) for line in figure.data] == [[1], [1], [1], [2], [2], [2]]

    def test_errors_are_in_percent(self) -> None:
        assert list(charts.errors([series("", 0.25)], NOW, NOW).data[0].y) == [25]

    def test_a_colour_belongs_to_a_name_not_to_a_place(self) -> None:
        there = charts.rate([series("v2", 1), series("v1", 1)], NOW, NOW).data
        back = charts.rate([series("v1", 1), series("v2", 1)], NOW, NOW).data
        assert there[0].line.color == back[1].line.color

    def test_names_are_text(self) -> None:
        assert charts.rate([series(HOSTILE, 1), series("b", 1)], NOW, NOW).data[0].name == "&lt;img src=x onerror=alert(1)&gt;"

    @given(st.lists(st.lists(st.none() | st.floats(0, 1e9), max_size=5), max_size=4))
    def test_any_answer_can_be_drawn(self, values: list[list[float | None]]) -> None:
        groups = [series(f"v{place}", *group) for place, group in enumerate(values)]
        for draw in (charts.rate, charts.errors, charts.latency, charts.saturation):
            json.loads(draw(groups, NOW, NOW + timedelta(minutes=5)).to_json())


class TestTimeline:
    def test_open_circuits_stand_on_top_and_each_state_is_a_bar(self) -> None:
        later = NOW + timedelta(seconds=30)
        calm = BreakerEdge("a", "b", "b", "closed", [Interval("closed", NOW, later)])
        loud = BreakerEdge("x", "y", "y-v1", "open", [Interval("closed", NOW, NOW), Interval("open", NOW, later)])
        figure = timeline.timeline([calm, loud], NOW, later)
        assert list(figure.layout.yaxis.ticktext) == ["x → y", "a → b"]
        opened = next(bar for bar in figure.data if bar.name == "Open")
        assert list(opened.y) == [0]
        assert list(opened.x) == [30_000]

    def test_a_target_is_named_where_a_pair_has_several(self) -> None:
        pair = [BreakerEdge("a", "b", target, "closed", []) for target in ("b-v1", "b-v2")]
        assert timeline.names(pair) == ["a → b (b-v1)", "a → b (b-v2)"]

    def test_names_are_text(self) -> None:
        figure = timeline.timeline([BreakerEdge("a", "<b>x</b>", "", "open", [])], NOW, NOW)
        assert "<" not in figure.layout.yaxis.ticktext[0]

    def test_nothing_can_be_drawn(self) -> None:
        assert timeline.timeline([], NOW, NOW).layout.height > 0


class TestWaterfall:
    def test_bars_lie_where_their_spans_were(self) -> None:
        rows = waterfall.bars(trace(*CALL))
        assert [row.depth for row in rows] == [0, 1, 2, 3, 4, 2]
        assert (rows[1].left, rows[1].width) == (0.1, 0.8)

    def test_folding_leaves_what_apps_told_and_hops_that_failed_and_led_nowhere(self) -> None:
        rows = waterfall.bars(trace(*CALL), fold=True)
        assert [(row.span.span_id, row.depth, row.folded) for row in rows] == [("2", 0, 1), ("5", 1, 2), ("6", 1, 0)]

    def test_services_that_only_proxies_speak_for_stay(self) -> None:
        spans = [span("1", None, "a", "inbound"), span("2", "1", "a", "outbound"), span("3", "2", "b", "inbound")]
        assert [row.span.span_id for row in waterfall.bars(trace(*spans), fold=True)] == ["1", "3"]

    def test_the_clock_of_a_span_may_be_off(self) -> None:
        rows = waterfall.bars(trace(span("1", None, "a", "app", took=5), span("2", "1", "a", "app", at=-3, took=40)))
        assert all(0 <= row.left <= row.left + row.width <= 1.0000001 for row in rows)

    @given(
        st.lists(
            st.tuples(st.integers(0, 8), st.sampled_from("ab"), st.sampled_from(["app", "inbound", "outbound"]), st.booleans()),
            max_size=9,
        )
    )
    def test_folding_only_takes_away(self, told: list[tuple[int, str, str, bool]]) -> None:
        spans = [
            span(str(place), str(parent) if parent < place else None, who, hop, error=error)
            for place, (parent, who, hop, error) in enumerate(told)
        ]
        every, folded = waterfall.bars(trace(*spans)), waterfall.bars(trace(*spans), fold=True)
        kept = [row.span.span_id for row in folded]
        assert kept == [row.span.span_id for row in every if row.span.span_id in kept]
        assert all(row.span.span_id in kept for row in every if row.span.hop == "app")
        assert bool(every) == bool(folded)

    @given(st.floats(0.001, 1e7))
    def test_ticks_are_few_and_within(self, whole: float) -> None:
        ticks = waterfall.ticks(whole)
        assert 2 <= len(ticks) <= 12
        assert ticks[0] == 0
        assert ticks[-1] <= whole * 1.001


class TestGraph:
    topology = Topology(
        NOW,
        NOW,
        [
            Node("external", "external", [], 0, 0),
            Node("a", "service", ["v1", "v2"], 10, 0.001, 1, 2, 3),
            Node(HOSTILE, "service", [], 5, 0.2),
            Node("db", "peer", [], 5, 0),
        ],
        [
            Edge("external", "a", 100, 1, 10, 0.001),
            Edge("a", HOSTILE, 50, 10, 5, 0.2, breaker_state="open"),
            Edge("a", "gone", 1, 0, 1, 0),
            Edge(HOSTILE, "a", 1, 0, 0.1, 0),
            Edge("db", "db", 1, 0, 0.1, 0),
        ],
    )

    def test_nodes_edges_and_breakers_are_drawn(self) -> None:
        drawn = graph.elements(self.topology, selected="a")
        found = {one["data"]["id"]: one for one in drawn}
        assert "chosen" in found["node:a"]["classes"]
        assert "bad" in found[f"node:{HOSTILE}"]["classes"]
        assert found[f"breaker:a~{HOSTILE}"]["data"]["label"] == "OPEN"
        assert found["edge:external~a"]["data"]["label"].replace("\u202f", " ") == "10.0/s · 0.1 %"
        assert found["edge:external~a"]["data"]["width"] > found[f"edge:{HOSTILE}~a"]["data"]["width"]
        assert "edge:a~gone" not in found
        assert len(found) == len(drawn)
        json.dumps(drawn)

    def test_forward_edges_run_level_out_of_and_into_their_ports(self) -> None:
        found = {one["data"]["id"]: one for one in graph.elements(self.topology)}
        forward = found["edge:external~a"]
        assert forward["classes"].endswith("forward")
        assert len(forward["data"]["weights"]) == len(forward["data"]["distances"]) == 2
        assert found[f"edge:{HOSTILE}~a"]["classes"].endswith("back")

    def test_the_same_nodes_keep_the_view(self) -> None:
        assert graph.shape_of(self.topology) == sorted(node.id for node in self.topology.nodes)

    def test_both_themes_style_the_same_things(self) -> None:
        light, dark = (graph_style.stylesheet(tones) for tones in (graph_style.LIGHT, graph_style.DARK))
        assert [rule["selector"] for rule in light] == [rule["selector"] for rule in dark]
        assert light != dark
