"""Finds the edges between services from the pairs of spans that have met."""

from importlib import resources

from storage.telemetry.engine import Engine

PATIENCE_S = 5
"""How long a lone half waits for its other half before it is shown as an edge of its own."""

OVERLAP_S = 60
"""How far each look reaches back over the one before: longer than the patience, and than any insert takes to commit."""

WHOLE_S = 110 * 60
"""For how long a minute's halves are all there: somewhat less than ``half_edges`` keeps them."""

WIDEST = 100
"""In how many of a trace's calls a proxy that stands alone is folded; a wider trace shows its proxies."""


def settle(engine: Engine, *, since: float) -> None:
    """Find the edges of every minute that telemetry arrived for since ``since`` (epoch seconds).

    Idempotent: a minute's rows are replaced, so that looking twice counts nothing twice. Minutes further back than
    ``WHOLE_S`` stay as they are.
    """
    arrived = {"since": int(since) - OVERLAP_S}
    # Asked for first: said again wherever they matter, they would be planned and looked for each time.
    minutes = [row["minute"] for row in engine.query(_sql("minutes"), arrived | {"whole": WHOLE_S})]
    if minutes:
        engine.command(_sql("learn_names"), arrived)
        engine.command(_sql("settle"), {"minutes": minutes, "patience": PATIENCE_S, "widest": WIDEST})


def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.sql").read_text("utf-8")
