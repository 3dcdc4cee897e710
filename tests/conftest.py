"""What the tests share: one embedded store, for chDB allows one path in a process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from storage.telemetry.engine import Engine
from storage.telemetry.engine_clickhouse import open_embedded
from storage.telemetry.migrate import migrate
from tests.fakes.emptied import emptied

# Machines are shared and noisy: how long an example takes says nothing about the code.
settings.register_profile("meshscope", deadline=None)
settings.load_profile("meshscope")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The migrated store of this test run; use ``engine`` instead."""
    engine = open_embedded(Path(tmp_path_factory.mktemp("store")))
    migrate(engine)
    yield engine
    engine.close()


@pytest.fixture
def engine(store: Engine) -> Engine:
    """Return an embedded store with the schema and no rows."""
    return emptied(store)
