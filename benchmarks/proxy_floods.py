"""What good traffic keeps of its rate while somebody attacks: the share of its answers that come within a second."""

import subprocess
import sys

from benchmarks.proxy_attacks import ATTACKS
from benchmarks.proxy_contenders import ENVOY, OTHERS, OURS, Ring
from benchmarks.proxy_load import ROOT, Failed, open_loop
from benchmarks.proxy_setup import TRACED
from benchmarks.samples import Samples

RATE = 400.0
"""Good requests a second, with the same features as elsewhere."""
LONGER_S = 20.0
"""Attacks outlast the good traffic, and are ended after it."""


async def floods(held: Ring, seconds: int, samples: Samples) -> None:
    """Attack each proxy in each way, and none for comparison; a new proxy for each, so that none pays for the one before."""
    for name in ("nobody attacks", *ATTACKS):
        for side in (ENVOY, OURS):
            contender = await held.enter(side, TRACED)
            try:
                share = _kept(name, contender.port, seconds)
            except Failed as reason:
                samples.missing[f"{side}: {name}"] = str(reason)[-300:]
                share = 0.0
            finally:
                contender.process.stop()
            samples.add(f"{side}_flood_{name}", share)


def _kept(name: str, port: int, seconds: int) -> float:
    if name not in ATTACKS:
        return open_loop(port, RATE, seconds, 1, OTHERS)["within_1s"]
    lasting = str(seconds + LONGER_S)
    command = [*OTHERS, sys.executable, "-m", "benchmarks.proxy_attacks", name, str(port), lasting]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT) as attacker:
        try:
            assert attacker.stdout is not None
            attacker.stdout.readline()  # it has begun
            return open_loop(port, RATE, seconds, 1, OTHERS)["within_1s"]
        finally:
            attacker.kill()
