"""Measures what ingest costs and what it is compared with; writes ``benchmarks/results/ingest.json`` and ``docs/performance.md``.

Run it with ``make bench-ingest``. Each part is measured in a process of its own. All of them take an hour and a half; what is
not measured anew (``ONLY=cost``) is kept as an earlier run found it, with the date of that run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks.bakeoff import bakeoff
from benchmarks.growth import growth
from benchmarks.ingesting import embedded, over_kafka, peers
from benchmarks.report import Run, result_of, run_of
from benchmarks.samples import Samples
from benchmarks.table import table, write_table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks/results/ingest.json"
PAGE = ROOT / "docs/performance.md"

Part = Callable[[int, Path], Samples]
PARTS: dict[str, dict[str, Part]] = {
    "cost": {"embedded": embedded, "peers": peers, "kafka": over_kafka},
    "bakeoff": {"bakeoff": bakeoff},
    "growth": {"growth": growth},
}
"""What can be measured by itself, and the parts that belong together, for their ratios are of one run."""


def main() -> None:
    arguments = _arguments()
    if arguments.part:
        part = next(parts[arguments.part] for parts in PARTS.values() if arguments.part in parts)
        with tempfile.TemporaryDirectory() as home:
            print(json.dumps(asdict(part(arguments.amount, Path(home)))))
        return
    amounts = {"cost": arguments.requests, "bakeoff": arguments.bakeoff_spans, "growth": arguments.growth_spans}
    runs: dict[str, Run] = json.loads(RESULTS.read_text("utf-8"))["runs"] if RESULTS.exists() else {}
    for name in arguments.only or PARTS:
        samples = Samples().merge(_in_a_process_of_its_own(part, amounts[name]) for part in PARTS[name])
        runs[name] = run_of(samples, amounts[name])
        result = result_of(runs)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
        write_table(PAGE, result)
    print(table(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=192, help="requests of 512 spans in each round of a collector")
    parser.add_argument("--bakeoff-spans", type=int, default=50_000_000, help="spans in each schema, spread over a day")
    parser.add_argument("--growth-spans", type=int, default=50_000_000, help="spans stored when growth ends")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="what is measured anew")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--amount", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _in_a_process_of_its_own(part: str, amount: int) -> Samples:
    """Return what a part measured; one process can open one store only."""
    print(f"measuring {part}", file=sys.stderr)
    command = [sys.executable, "-m", "benchmarks.ingest", "--part", part, "--amount", str(amount)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT)
    return Samples(**json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
