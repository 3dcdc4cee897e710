"""What the end-to-end tests share: Meshscope and its proxies as processes of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.processes import Meshscope


@pytest.fixture
def start_meshscope(tmp_path: Path) -> Iterator[Callable[..., Meshscope]]:
    """Return what starts `meshscope up` on this test's own data directory; everything is stopped in the end."""
    started: list[Meshscope] = []

    def start(**options: str) -> Meshscope:
        started.append(Meshscope(tmp_path / "data", tmp_path / f"up-{len(started)}.log", **options))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture(scope="session")
def meshscope(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshscope]:
    """Return a running Meshscope that tests share; each looks at services of its own names."""
    home = tmp_path_factory.mktemp("meshscope")
    running = Meshscope(home / "data", home / "up.log").until_ready()
    yield running
    running.kill()
