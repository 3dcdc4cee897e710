"""Thinning that is killed at any moment goes on where it was: in the end exactly what should stay is there."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from storage.telemetry.thinning import SLICE_S
from tests.fakes.thinned import expected
from tests.fakes.thinning_process import HOURS, KILLED, given

KILLS = 10
FIRST = int(time.time()) // SLICE_S * SLICE_S - (HOURS + 8) * SLICE_S


def start(data: Path, what: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.fakes.thinning_process", str(data), str(FIRST), what]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(data: Path, what: str) -> str:
    process = start(data, what)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    return said


@pytest.mark.timeout(400)
def test_ten_kills_change_nothing_of_what_stays(tmp_path: Path) -> None:
    before: Any = json.loads(finish(tmp_path, "fill"))
    spans = given(FIRST)
    assert len(before["spans"]) == sum(map(len, spans))
    killed_at_work = 0
    for number in range(KILLS):
        # With each start one more hour is old enough, so that each one finds something to do.
        process = start(tmp_path, str(FIRST + (number + 3) * SLICE_S + 1900))
        assert process.stdout
        assert process.stdout.readline() == "thinning\n"
        time.sleep(random.uniform(0, 0.5))  # any moment
        killed_at_work += process.poll() is None
        process.kill()
        process.wait(10)
        process.stdout.close()
    assert killed_at_work > 0
    finish(tmp_path, str(FIRST + (HOURS + 8) * SLICE_S))
    after = json.loads(finish(tmp_path, "tell"))
    stays = expected(spans, KILLED)
    assert after["spans"] == sorted(span.hex() for span in stays)
    assert len(stays) < len(before["spans"]) / 2
    assert after["rollups"] == before["rollups"]
