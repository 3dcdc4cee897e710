"""A process that is measured from outside: what the operating system says it used."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.clock import SystemClock

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CLOCK = SystemClock()


class Process:
    """One running program; its CPU seconds are those of all its threads."""

    def __init__(self, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> None:
        self._log = log
        with log.open("wb") as out:
            self._popen = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})

    def __repr__(self) -> str:
        return f"<Process {self._popen.args!r} pid={self._popen.pid}>"

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far, in user and kernel mode."""
        fields = Path(f"/proc/{self._popen.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def peak_rss_mb(self) -> float:
        """Return the largest resident set so far, in MiB."""
        return self._status_mb("VmHWM")

    def rss_mb(self) -> float:
        """Return the resident set of now, in MiB."""
        return self._status_mb("VmRSS")

    async def listening(self, port: int, *, seconds: float = 60) -> None:
        """Wait until it listens on ``port``; raise RuntimeError with the end of its log when it does not."""
        deadline = _CLOCK.monotonic() + seconds
        while _CLOCK.monotonic() < deadline and self._popen.poll() is None:
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    return
            await _CLOCK.sleep(0.1)
        raise RuntimeError(f"{self!r} does not listen on {port}: {self._log.read_text(errors='replace')[-2000:]}")

    async def quiet(self, *, hold_s: float = 1.0, most_s: float = 60) -> None:
        """Wait until it has used less than a tenth of a CPU for ``hold_s``, so that what it put off is done, too."""
        deadline = _CLOCK.monotonic() + most_s
        while _CLOCK.monotonic() < deadline:
            before = self.cpu_s()
            await _CLOCK.sleep(hold_s)
            if self.cpu_s() - before < 0.1 * hold_s:
                return
        raise RuntimeError(f"{self!r} is still at work {most_s} s after its last request")

    def stop(self) -> None:
        """End it as an operator would, and wait for that."""
        self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(60)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def _status_mb(self, what: str) -> float:
        lines = Path(f"/proc/{self._popen.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024


def free_port() -> int:
    """Return a port of the loopback that was free just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
