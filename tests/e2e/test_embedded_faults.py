"""Everything in one process: what was answered is stored once, whatever is killed or full.

`make test-faults` does each fault as often and as long as it says there; this suite does it shorter.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.load import Sender, load, log_records, must_be_stored, pairs, points, single_spans
from tests.fakes.processes import Meshscope, Process, until
from tests.fakes.warm import WarmMeshscope

FULL = "MESHSCOPE_TEST_ALL_FAULTS" in os.environ
KILLS = 25 if FULL else 4
DISK_FULL_S = 60 if FULL else 12
DISK_BYTES = 192 * 1024**2

pytestmark = pytest.mark.timeout(3600 if FULL else 600)


def _senders(current: Callable[[], Meshscope]) -> list[Sender]:
    makes = {single_spans: "traces", pairs: "traces", log_records: "logs", points: "metrics"}
    return [Sender(lambda signal=signal: current().url_of(signal), make) for make, signal in makes.items()]


def test_a_process_that_is_killed(tmp_path: Path) -> None:
    def start(number: int) -> Meshscope:
        return WarmMeshscope(tmp_path / "data", tmp_path / f"up-{number}.log", http_port="0").until_ready()

    current = start(0)
    senders = _senders(lambda: current)
    try:
        with load(*senders):
            for number in range(1, KILLS + 1):
                before = senders[0].answered
                until("load arriving", lambda before=before: senders[0].answered > before)
                time.sleep(random.uniform(0.1, 1.5))  # any moment: before, within and after a commit
                current.kill()
                current = start(number)
        assert current.stop() == 0
    finally:
        current.kill()
    assert sum(sender.repeated for sender in senders) > 0, "no kill met a request under way"
    must_be_stored(tmp_path / "data", *senders)
    print(f"{KILLS} kills: {[(sender.make.__name__, sender.answered, sender.repeated) for sender in senders]}")  # noqa: T201


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Return a file system of 192 MiB, and the command that leads there: nobody else sees it, and it goes with its process."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size={DISK_BYTES} tmpfs {disk} && echo mounted && exec sleep infinity"
    holder = Process(tmp_path / "disk.log", "unshare", "--map-root-user", "--mount", "sh", "-c", mount)
    try:
        until("the small disk", lambda: holder.check() or "mounted" in holder.said())
        enter = ("nsenter", f"--target={holder.process.pid}", "--user", "--mount", "--preserve-credentials", f"--wd={Path.cwd()}")
        yield disk, enter
    finally:
        holder.kill()


def test_a_full_disk(small_disk: tuple[Path, tuple[str, ...]], tmp_path: Path) -> None:
    disk, enter = small_disk
    running = Meshscope(disk / "data", tmp_path / "up.log", prefix=enter, http_port="0").until_ready()
    senders = _senders(lambda: running)
    try:
        with load(*senders):
            until("load arriving", lambda: all(sender.answered for sender in senders))
            fill = "while :; do cat /dev/zero >> filler 2>/dev/null; sleep 0.1; done"  # also what merges give back
            filling = subprocess.Popen([*enter, "sh", "-c", f"cd {disk} && exec sh -c '{fill}'"])
            until("senders being told", lambda: all(sender.refusals for sender in senders), 120)
            before = [sender.answered for sender in senders]
            time.sleep(DISK_FULL_S)
            running.check()
            assert [sender.answered for sender in senders] == before, "something was answered though the disk is full"
            filling.kill()
            filling.wait(10)
            subprocess.run([*enter, "rm", str(disk / "filler")], check=True)
            until("all being answered again", lambda: all(s.answered > b for s, b in zip(senders, before, strict=True)), 120)
        assert running.stop() == 0, running.said()[-2000:]
        must_be_stored(disk / "data", *senders, prefix=enter)
        print(f"{DISK_FULL_S} s full: {[(each.make.__name__, each.answered, dict(each.refusals)) for each in senders]}")  # noqa: T201
    finally:
        running.kill()
