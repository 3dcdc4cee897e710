"""The load that proxies are measured under: ``wrk`` and ``h2load`` from Debian, and an open-loop client of our own."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.proxy_open_loop import percentile

HOST = "api.local"
PATH = "/orders/42?currency=EUR"
HEADERS = {
    "user-agent": "shop/1.7 (linux; x86_64) http/1.1",
    "accept": "application/json",
    "accept-language": "en-GB,en;q=0.8,de;q=0.5",
    "authorization": "Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJiZW5jaCJ9.c2lnbmF0dXJl",
    "cookie": "session=7b1d4c0a9e3f4f52; theme=dark",
    "cache-control": "no-cache",
    "x-tenant": "northwind",
    "x-client-version": "2026.11.1",
    "x-correlation": "c0ffee00-1234-4321-abcd-000000000042",
}
"""With ``Host`` they are ten."""
CONNECTIONS = 32
H2_CONNECTIONS = 4
"""They share as many streams as there are connections over HTTP/1.1."""
RPC = "/shop.Orders/Get"
ROOT = Path(__file__).parent.parent


class Failed(Exception):
    """Not every request was answered with success: the figures would be void."""


class Done(NamedTuple):
    """How many requests were answered in how many seconds."""

    requests: int
    seconds: float


def wrk(port: int, seconds: int, cores: tuple[str, ...]) -> Done:
    """Ask as fast as answers come, over HTTP/1.1."""
    headers = [word for name, value in {"Host": HOST, **HEADERS}.items() for word in ("-H", f"{name}: {value}")]
    command = [*cores, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *headers, f"http://127.0.0.1:{port}{PATH}"]
    said = _run(command)
    found = re.search(r"(\d+) requests in ([\d.]+)s", said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise Failed(said)
    return Done(int(found[1]), float(found[2]))


def h2load(port: int, seconds: int, message: Path, cores: tuple[str, ...]) -> Done:
    """Make unary gRPC calls as fast as they are answered, over HTTP/2 by prior knowledge; ``message`` is the file of the body."""
    headers = {"content-type": "application/grpc", "te": "trailers", **HEADERS}
    words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    streams = ["-c", str(H2_CONNECTIONS), "-m", str(CONNECTIONS // H2_CONNECTIONS), "-t", "1"]
    url = f"http://127.0.0.1:{port}{RPC}"
    said = _run([*cores, "h2load", *streams, "-D", str(seconds), "-d", str(message), *words, "-H", f":authority: {HOST}", url])
    found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", said)
    if found is None or int(found[2]) + int(found[3]) or not int(found[1]):
        raise Failed(said)
    return Done(int(found[1]), seconds)


def open_loop(port: int, rate: float, seconds: float, seed: int, cores: tuple[str, ...]) -> dict[str, float]:
    """Ask at a rate, whatever comes back; return how many and percentiles of their latency in milliseconds."""
    request = f"GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    command = [*cores, sys.executable, "-m", "benchmarks.proxy_open_loop", str(port), str(rate), str(seconds), str(seed)]
    latencies = json.loads(_run(command, f"{request}\r\n"))
    within = sum(latency <= 1e6 for latency in latencies) / len(latencies)
    return {"requests": len(latencies), "within_1s": within} | {
        f"p{share}": percentile(latencies, share / 100) / 1000 for share in (50, 99)
    }


def _run(command: list[str], told: str = "") -> str:
    done = subprocess.run(command, input=told, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise Failed(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
