"""How the CPU of a span grows while a store grows: one long load, and windows of it at its beginning and at its end."""

import asyncio
import sys
from pathlib import Path

from benchmarks import ours
from benchmarks.ingesting import CLOCK
from benchmarks.load import Load
from benchmarks.process import Process
from benchmarks.samples import Samples, parsed_per_cpu_s
from benchmarks.sender import send

REQUESTS = 256
WINDOW_SPANS = 2_000_000
"""The first window begins after one round, so that about 1 M spans are stored in its middle; the last one ends at the end."""


def growth(spans: int, home: Path) -> Samples:
    """Send ``spans`` spans through ``meshscope up`` and keep what each window's spans cost, merges and edges included."""
    return asyncio.run(_growth(spans, home))


async def _growth(spans: int, home: Path) -> Samples:
    samples = Samples()
    load = Load(REQUESTS, start_ns=int((CLOCK.now() - 3600) * 10**9))
    rounds = -(-spans // load.spans)
    process, port = ours.up(home)
    try:
        await process.listening(port)
        await _windows(load, rounds, process, port, samples)
        samples.add("growth_rss_mb", process.peak_rss_mb())
    finally:
        process.stop()
    ours.expect_stored(home, rounds * load.spans)
    samples.add("growth_spans", rounds * load.spans)
    return samples


async def _windows(load: Load, rounds: int, process: Process, port: int, samples: Samples) -> None:
    """Both rates of a window are over all of its rounds: what is put off is done in some round and saved in others."""
    used, sent, yardsticks = 0.0, 0, list[float]()
    for number in range(rounds):
        bodies = load.round(number)
        yardsticks.append(parsed_per_cpu_s(bodies))
        await send(port, bodies)
        if number == 0:
            used, yardsticks = process.cpu_s(), []
            continue
        sent += load.spans
        if sent >= WINDOW_SPANS or number == rounds - 1:
            now = process.cpu_s()
            samples.add("growth_stored_spans", (number + 1) * load.spans)
            samples.add("growth_spans_per_cpu_s", sent / (now - used))
            samples.add("growth_yardstick_spans_per_cpu_s", sum(yardsticks) / len(yardsticks))
            print(f"{(number + 1) * load.spans:,} stored: {sent / (now - used):,.0f} spans/CPU-s", file=sys.stderr, flush=True)
            used, sent, yardsticks = now, 0, []
