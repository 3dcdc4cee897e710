"""How the topology graph looks, in two themes; the tones are those of assets/1-tokens.css, which a canvas cannot read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dashboard.components.health import Health
from dashboard.figures.graph import HEIGHT, ROUND, WIDTH

FONT = "system-ui, Segoe UI, Roboto, Helvetica Neue, Liberation Sans, sans-serif"
SHAPES = {Health.OK: "ellipse", Health.WARN: "triangle", Health.BAD: "diamond", Health.IDLE: "ellipse"}
Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tones:
    """The colours of one theme; ``on`` is for text on a mark."""

    surface: str
    canvas: str
    line: str
    text: str
    dim: str
    accent: str
    edge: str
    on: str
    verdicts: Mapping[str, str]


LIGHT = Tones(
    surface="#ffffff",
    canvas="#f6f7f9",
    line="#cdd4dc",
    text="#1a2330",
    dim="#566273",
    accent="#1f63b8",
    edge="#9fb0c3",
    on="#ffffff",
    verdicts={"ok": "#12806f", "warn": "#b45309", "bad": "#c22f12", "idle": "#8a94a3"},
)
DARK = Tones(
    surface="#1a212a",
    canvas="#10151b",
    line="#36414e",
    text="#e8edf3",
    dim="#a3afbd",
    accent="#6fb0ff",
    edge="#55667a",
    on="#10151b",
    verdicts={"ok": "#4fcab4", "warn": "#f0a63a", "bad": "#ff7a5c", "idle": "#77828f"},
)


def stylesheet(tones: Tones) -> list[Rule]:
    """Return the graph's style in one theme."""
    return [*_cards(tones), *_texts(tones), *_marks(tones), *_arrows(tones)]


def _rule(selector: str, **style: Any) -> Rule:
    return {"selector": selector, "style": {name.replace("_", "-"): value for name, value in style.items()}}


def _globe(colour: str) -> str:
    lines = "<circle cx='12' cy='12' r='9'/><path d='M3 12h18M12 3c-5 5-5 13 0 18M12 3c5 5 5 13 0 18'/>"
    attributes = f"viewBox='0 0 24 24' width='48' height='48' fill='none' stroke='{colour}' stroke-width='1.4'"
    return "data:image/svg+xml;utf8," + quote(f"<svg xmlns='http://www.w3.org/2000/svg' {attributes}>{lines}</svg>")


def _cards(tones: Tones) -> list[Rule]:
    plain = {
        "shape": "round-rectangle",
        "width": WIDTH,
        "height": HEIGHT,
        "background_color": tones.surface,
        "border_width": 1.5,
        "border_color": tones.line,
        "overlay_opacity": 0,
        "z_index": 10,
    }
    globe = {"background_image": _globe(tones.dim), "background_width": 26, "background_height": 26}
    return [
        _rule(".card", **plain),
        _rule(".card.external, .card.peer", border_style="dashed"),
        _rule(".card.external", shape="ellipse", width=ROUND, height=ROUND, **globe),
        _rule(".card.warn", border_color=tones.verdicts["warn"], border_width=2),
        _rule(".card.bad", border_color=tones.verdicts["bad"], border_width=2),
        _rule(".card.chosen", border_color=tones.accent, border_width=3.5),
    ]


def _texts(tones: Tones) -> list[Rule]:
    plain = {
        "width": 1,
        "height": 1,
        "background_opacity": 0,
        "border_width": 0,
        "label": "data(label)",
        "events": "no",
        "font_family": FONT,
        "font_size": 13,
        "color": tones.text,
        "text_valign": "center",
        "text_halign": "center",
        "overlay_opacity": 0,
        "z_index": 20,
    }
    return [
        _rule(".text", **plain),
        _rule(".left", text_halign="right"),
        _rule(".right", text_halign="left"),
        _rule(".title", font_weight=600, font_size=14),
        _rule(".title.under", font_size=13),
        _rule(".version", color=tones.dim, font_size=12),
        _rule(".numbers", color=tones.dim, font_size=13),
    ]


def _marks(tones: Tones) -> list[Rule]:
    rules = [_rule(".mark", width=16, height=16, background_opacity=1, color=tones.on, font_size=10, font_weight=800)]
    for verdict, shape in SHAPES.items():
        rules.append(_rule(f".mark.{verdict}", background_color=tones.verdicts[verdict], shape=shape))
    pill = {"shape": "round-rectangle", "height": 18, "background_opacity": 1, "z_index": 30}
    return [
        *rules,
        _rule(".mark.warn", width=19, height=17, text_margin_y=2),
        _rule(".mark.bad", width=19, height=19),
        _rule(".breaker", width=50, color=tones.on, font_size=10.5, font_weight=700, **pill),
        _rule(".breaker.open", background_color=tones.verdicts["bad"]),
        _rule(".breaker.half_open", width=82, background_color=tones.verdicts["warn"]),
    ]


def _arrows(tones: Tones) -> list[Rule]:
    plain = {
        "width": "data(width)",
        "line_color": tones.edge,
        "target_arrow_color": tones.edge,
        "target_arrow_shape": "triangle",
        "arrow_scale": 0.9,
        "curve_style": "bezier",
        "label": "data(label)",
        "font_family": FONT,
        "font_size": 12.5,
        "color": tones.dim,
        "text_background_color": tones.canvas,
        "text_background_opacity": 1,
        "text_background_padding": "3px",
        "text_background_shape": "roundrectangle",
        "overlay_opacity": 0,
        "z_index": 1,
    }
    bent = {
        "curve_style": "unbundled-bezier",
        "control_point_weights": "data(weights)",
        "control_point_distances": "data(distances)",
        "edge_distances": "endpoints",
        "source_endpoint": "data(leaves)",
        "target_endpoint": "data(arrives)",
    }
    rules = [_rule(".arrow", **plain), _rule(".arrow.forward", **bent), _rule(".arrow.back", line_style="dashed")]
    for verdict in (Health.WARN, Health.BAD):
        tone = tones.verdicts[verdict]
        rules.append(_rule(f".arrow.{verdict}", line_color=tone, target_arrow_color=tone, color=tone, font_weight=600))
    rules.append(_rule(".arrow.chosen", line_color=tones.accent, target_arrow_color=tones.accent))
    return rules
