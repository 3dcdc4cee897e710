"""Measures what ingest costs and what it is compared with; writes ``benchmarks/results/ingest.json`` and ``docs/performance.md``.

Run it with ``make bench-ingest``. All parts are measured in one run, each in a process of its own; growth takes half an hour
by itself, and without it (``GROWTH=no``) its last figure is kept, with its date.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.bakeoff import bakeoff
from benchmarks.growth import growth
from benchmarks.ingesting import embedded, over_kafka, peers
from benchmarks.report import result_of
from benchmarks.samples import Samples
from benchmarks.table import table, write_table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks/results/ingest.json"
PAGE = ROOT / "docs/performance.md"

Part = Callable[[int, Path], Samples]
PARTS: dict[str, tuple[Part, str]] = {
    "embedded": (embedded, "requests"),
    "peers": (peers, "requests"),
    "kafka": (over_kafka, "requests"),
    "bakeoff": (bakeoff, "bakeoff_spans"),
    "growth": (growth, "growth_spans"),
}
"""Each part, and which argument says how much it does."""


def main() -> None:
    arguments = _arguments()
    if arguments.part:
        part, amount = PARTS[arguments.part]
        with tempfile.TemporaryDirectory() as home:
            print(json.dumps(asdict(part(getattr(arguments, amount), Path(home)))))
        return
    parts = arguments.only or [part for part in PARTS if part != "growth" or arguments.growth]
    samples = Samples().merge(_in_a_process_of_its_own(part, arguments) for part in parts)
    load = {
        "requests_per_round": arguments.requests,
        "growth_spans": arguments.growth_spans,
    }
    result = result_of(samples, load)
    if arguments.only:
        print(json.dumps(result, indent=2))
        return
    if not arguments.growth and RESULTS.exists():
        _keep_growth(result, json.loads(RESULTS.read_text("utf-8")))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    write_table(PAGE, result)
    print(table(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=192, help="requests of 512 spans in each round of a collector")
    parser.add_argument("--bakeoff-spans", type=int, default=10_000_000, help="spans in each schema, spread over a day")
    parser.add_argument("--growth-spans", type=int, default=50_000_000, help="spans stored when growth ends")
    parser.add_argument("--growth", action=argparse.BooleanOptionalAction, default=True, help="whether growth is measured anew")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="measure these parts and print what was found; writes nothing")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def _in_a_process_of_its_own(part: str, arguments: argparse.Namespace) -> Samples:
    """Return what a part measured; one process can open one store only."""
    print(f"measuring {part}", file=sys.stderr)
    _, amount = PARTS[part]
    amounts = [f"--{amount.replace('_', '-')}", str(getattr(arguments, amount))]
    command = [sys.executable, "-m", "benchmarks.ingest", "--part", part, *amounts]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT)
    return Samples(**json.loads(done.stdout.splitlines()[-1]))


def _keep_growth(result: dict[str, Any], before: dict[str, Any]) -> None:
    """Take over what an earlier run found about growth, with the date of that run."""
    if before["ratios"].get("growth_1m_to_50m") is None:
        return
    result["ratios"]["growth_1m_to_50m"] = before["ratios"]["growth_1m_to_50m"]
    result["growth_measured"] = before.get("growth_measured") or before["machine"]["date"]
    result["load"]["growth_spans"] = before["load"]["growth_spans"]
    result["samples"] |= {name: values for name, values in before["samples"].items() if name.startswith("growth")}


if __name__ == "__main__":
    main()
