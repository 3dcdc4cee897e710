"""`meshscope up` by fork: where a test kills it dozens of times, what takes long is loading it, and that is done once."""

import multiprocessing
import os
import sys
from pathlib import Path

from tests.fakes.processes import Meshscope

_WAY = multiprocessing.get_context("forkserver")
_WAY.set_forkserver_preload(["cli.main", "cli.up"])


class Forked:
    """A forked process, as far as tests need what subprocess.Popen offers."""

    def __init__(self, log: Path, command: list[str]) -> None:
        self._process = _WAY.Process(target=_run, args=(log, command), daemon=True)
        self._process.start()
        self.pid = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def __repr__(self) -> str:
        return f"<Forked {self.pid} exit={self.returncode}>"

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, within_s: float) -> int:
        self._process.join(within_s)
        assert self._process.exitcode is not None, f"still there after {within_s} s"
        return self._process.exitcode


class WarmMeshscope(Meshscope):
    """`meshscope up`, ready in a second or two; all of it runs in a process of its own, as ever."""

    def begin(self, log: Path, *command: str) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        self.process = Forked(log, list(command[2:]))  # type: ignore[assignment]


def _run(log: Path, command: list[str]) -> None:
    with log.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    from cli.main import main  # noqa: PLC0415 - loaded before the fork

    sys.argv = command
    main()
