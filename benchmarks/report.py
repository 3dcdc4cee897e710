"""What the benchmark says: medians, ratios, and the raw samples they are of."""

import os
import platform
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.mesh_spans import ATTRIBUTES, SERVICES, SPANS_PER_REQUEST
from benchmarks.peers.collectors import OTELCOL, ROTEL
from benchmarks.samples import ROUNDS, Samples

RATE = "_spans_per_cpu_s"
CONTESTS = ("trace_by_id", "attribute_filter", "common_attribute_filter", "service_p99")
SIZES = ("bytes_per_span", "bytes_per_span_first_two_hours")
INGESTING = ("embedded", "receive_to_kafka", "kafka_to_rows")

Result = dict[str, Any]
Run = dict[str, Any]


def run_of(samples: Samples, amount: int) -> Run:
    """Return what was measured together, with how much of a load, when, and how busy the machine was."""
    date = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    return {"date": date, "load_average": os.getloadavg()[0], "amount": amount, **asdict(samples)}


def result_of(runs: dict[str, Run]) -> Result:
    """Return medians, ratios, the runs with their raw samples, load and machine; what was not measured is None."""
    samples = Samples().merge(Samples(run["figures"], run["missing"]) for run in runs.values())
    medians = {name: median(values) for name, values in samples.figures.items()}
    ours = {f"{name}{RATE}": medians.get(f"{name}{RATE}") for name in INGESTING}
    ours |= {name: medians.get(name) for name in ("rss_mb", "embedded_rss_mb", "collect_rss_mb")}
    ours |= _contests("ours", medians)
    exporter = _contests("exporter", medians)
    peers = {f"{name}{RATE}": medians.get(f"{name}{RATE}") for name in ("rotel", "otelcol")}
    return {
        "yardstick_spans_per_cpu_s": medians.get("yardstick_spans_per_cpu_s"),
        "ours": ours,
        "peers": peers | {"missing": samples.missing, "exporter_schema": exporter},
        "ratios": _ratios(medians) | {"growth_1m_to_50m": _growth(samples)},
        "runs": runs,
        "load": {"requests_per_round": runs["cost"]["amount"] if "cost" in runs else None}
        | {name: medians.get(name) for name in ("bakeoff_spans", "growth_spans", "growth_rss_mb")}
        | {"rounds": ROUNDS, "spans_per_request": SPANS_PER_REQUEST, "attributes_per_span": ATTRIBUTES, "services": SERVICES},
        "machine": _machine(),
    }


def _contests(side: str, medians: dict[str, float]) -> Result:
    sizes = {name: medians.get(f"{side}_{name}") for name in SIZES}
    return sizes | {f"{name}_{unit}": medians.get(f"{side}_{name}_{unit}") for name in CONTESTS for unit in ("ms", "cpu_ms")}


def _ratios(medians: dict[str, float]) -> Result:
    def ratio(of: str, to: str) -> float | None:
        return medians[of] / medians[to] if of in medians and to in medians else None

    return (
        {name: ratio(f"{name}{RATE}", f"yardstick{RATE}") for name in INGESTING}
        | {name: ratio(f"embedded{RATE}", f"{name}{RATE}") for name in ("rotel", "otelcol")}
        | {name: ratio(f"ours_{name}", f"exporter_{name}") for name in SIZES}
        | {name: ratio(f"ours_{name}_cpu_ms", f"exporter_{name}_cpu_ms") for name in CONTESTS}
    )


def _growth(samples: Samples) -> float | None:
    """What a span costs in the last window to what it costs in the first, each in yardsticks of its own window."""
    rates, yardsticks = (samples.figures.get(f"growth_{each}") for each in ("spans_per_cpu_s", "yardstick_spans_per_cpu_s"))
    if not rates or not yardsticks:
        return None
    return (rates[0] / yardsticks[0]) / (rates[-1] / yardsticks[-1])


def machine() -> Result:
    """Return what the figures depend on besides the programs: the processor, how busy it is, the Python, the day."""
    models = [line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
    }


def _machine() -> Result:
    versions = {each: version(each) for each in ("chdb", "clickhouse-connect", "protobuf", "aiokafka")}
    return machine() | versions | {"rotel": ROTEL, "otelcol": OTELCOL}
