"""The companion proxy as a process that holds nothing of the command line: one stands beside every application."""

import asyncio
import json
import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from core.faults import Fault
from mesh_proxy.settings import ProxySettings

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"


def become(settings: ProxySettings, workers: int | None) -> NoReturn:
    """Turn this process into a proxy, or into one that keeps ``workers`` of them; it keeps its id.

    What the command line has loaded would stay resident: 10 MiB.
    """
    here = str(Path(__file__).parent.parent)  # -P keeps the working directory from being searched for modules
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    sys.stdout.flush()
    sys.stderr.flush()
    more = [] if workers is None else [str(workers)]
    os.execve(sys.executable, [*_command(settings), *more], {**os.environ, "PYTHONPATH": path})


def main() -> None:
    """Run a proxy by the settings in the first argument, or as many as the second one says; it ends as the command line does."""
    told = json.loads(sys.argv[1])
    settings = ProxySettings(**told | {"mesh_file": Path(told["mesh_file"])})
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    try:
        if len(sys.argv) > 2:
            sys.exit(_run_workers(settings, int(sys.argv[2])))
        _run(settings)
    except Fault as fault:
        sys.exit(_say(fault))


def _run(settings: ProxySettings) -> None:
    from mesh_proxy.server import run  # noqa: PLC0415 - who is about to become a proxy, or keeps some, need not load one

    run(settings)


def _run_workers(settings: ProxySettings, count: int) -> int:
    from mesh_proxy.workers import run_workers  # noqa: PLC0415 - a worker does not need it

    return asyncio.run(run_workers(settings, count, _command))


def _command(settings: ProxySettings) -> list[str]:
    return [sys.executable, "-P", "-m", "cli.proxy_process", json.dumps(asdict(settings), default=str)]


def _say(fault: Fault) -> int:
    sys.stderr.write(f"{fault}\n")
    return 1 if fault.retryable else 2


if __name__ == "__main__":
    main()
