"""Finds the edges between services from the pairs of spans that have met."""

from importlib import resources

from storage.telemetry.engine import Engine
from storage.telemetry.migrate import statements

PATIENCE_S = 5
"""How long a lone half waits for its other half before it is shown as an edge of its own."""

OVERLAP_S = 60
"""How far each look reaches back over the one before: longer than the patience, and than any insert takes to commit."""

WHOLE_S = 110 * 60
"""For how long a minute's halves are all there: somewhat less than ``half_edges`` keeps them."""

WIDEST = 100
"""In how many of a trace's calls a proxy that stands alone is folded; a wider trace shows its proxies."""


AT_ONCE = 500_000
"""Of how many halves edges are found at once; what that takes in memory, not what arrived since the last look, is the bound."""

_STEPS = ("halves", "words", "names", "pairs", "edges")
_MADE_ANEW = ("settling_halves", "settling_words", "settling_pairs")


def settle(engine: Engine, *, since: float, at_once: int = AT_ONCE) -> None:
    """Find the edges of every minute that telemetry arrived for since ``since`` (epoch seconds), ``at_once`` halves at a time.

    Idempotent: a minute's rows are replaced, so that looking twice counts nothing twice. Minutes further back than
    ``WHOLE_S`` stay as they are.
    """
    dirty = {"since": int(since) - OVERLAP_S, "whole": WHOLE_S, "at_once": at_once}
    batches = engine.query(_sql("minutes"), dirty)
    if not batches:
        return
    with engine.session() as session:
        for statement in statements(_sql("tables")):
            session.command(statement)
        for batch in batches:
            for step in _STEPS:
                session.command(_sql(step), batch | {"patience": PATIENCE_S, "widest": WIDEST})
            for table in _MADE_ANEW:
                session.command(f"TRUNCATE TABLE {table}")


def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.sql").read_text("utf-8")
