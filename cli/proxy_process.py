"""The companion proxy as a process that holds nothing of the command line: one stands beside every application."""

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


def become(settings: ProxySettings) -> NoReturn:
    """Turn this process into a proxy; it keeps its id. What the command line has loaded would stay resident: 10 MiB."""
    told = json.dumps(asdict(settings), default=str)
    here = str(Path(__file__).parent.parent)  # -P keeps the working directory from being searched for modules
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-P", "-m", "cli.proxy_process", told], {**os.environ, "PYTHONPATH": path})


def main() -> None:
    """Run a proxy by the settings in the first argument; exit statuses are those of the command line."""
    from mesh_proxy.server import run  # noqa: PLC0415 - who is about to become a proxy need not load one

    told = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    try:
        run(ProxySettings(**told | {"mesh_file": Path(told["mesh_file"])}))
    except Fault as fault:
        sys.exit(_say(fault))


def _say(fault: Fault) -> int:
    sys.stderr.write(f"{fault}\n")
    return 1 if fault.retryable else 2


if __name__ == "__main__":
    main()
