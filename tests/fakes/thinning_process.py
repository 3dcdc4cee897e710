"""A store that is filled, thinned and looked at by processes of their own, so that they can be killed.

python -m tests.fakes.thinning_process DATA_DIR FIRST_HOUR fill|tell|THIN_AT
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from collector.thinning import TraceThinner
from storage.telemetry.edges import settle
from storage.telemetry.engine import Engine
from storage.telemetry.engine_clickhouse import open_embedded
from storage.telemetry.migrate import migrate
from storage.telemetry.thinning import SLICE_S, Policy
from tests.fakes.spans import Span, request
from tests.fakes.thinned import POLICY, At, rollups, stored, traces

HOURS = 8
# A trace's last span comes two hours after its first: by then it must have been judged.
KILLED = Policy(2.5 * SLICE_S, POLICY.share, rules=POLICY.rules)


def given(first: int) -> list[list[Span]]:
    return traces(first, hours=HOURS, each_hour=60)


def fill(engine: Engine, first: int) -> None:
    migrate(engine)
    spans = [span for each in given(first) for span in each]
    engine.insert("traces", [request(spans)], "all")
    settle(engine, since=time.time() - 3600)


def main(data: str, first: str, what: str) -> None:
    engine = open_embedded(Path(data))
    if what == "fill":
        fill(engine, int(first))
    elif what != "tell":
        print("thinning", flush=True)  # noqa: T201
        asyncio.run(TraceThinner(engine, At(float(what)), KILLED).look())
    if what in ("fill", "tell"):
        told = {"spans": sorted(each.hex() for each in stored(engine)), "rollups": rollups(engine)}
        print(json.dumps(told, default=str))  # noqa: T201
    engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
