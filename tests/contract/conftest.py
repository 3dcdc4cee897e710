"""What every engine promises is asked of both: of chDB in this process, and of a server over HTTP."""

from collections.abc import Iterator

import pytest

from storage.telemetry.engine import Engine
from storage.telemetry.engine_clickhouse import open_server
from storage.telemetry.migrate import migrate
from storage.telemetry.server import Server
from tests.fakes.clickhouse import clickhouse
from tests.fakes.emptied import emptied

# The others are about SQL, which is the same whoever runs it, and would take minutes once more.
ASKED_OF_BOTH = {"test_bounds", "test_engines", "test_landing", "test_metrics", "test_migrate", "test_retention", "test_rollups"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in ASKED_OF_BOTH:
        metafunc.parametrize("engine", ["chdb", "server"], indirect=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return the server of this test run, with a database of its own."""
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


@pytest.fixture(scope="session")
def server_store(server: Server) -> Iterator[Engine]:
    """Return the migrated store on the server; use ``engine`` instead."""
    engine = open_server(server)
    migrate(engine)
    yield engine
    engine.close()


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return a store with the schema and no rows."""
    return emptied(request.getfixturevalue("server_store" if getattr(request, "param", "") == "server" else "store"))
