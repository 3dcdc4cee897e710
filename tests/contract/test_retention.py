"""Telemetry is kept as long as it is asked to be: the store's own DDL says so."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from storage.telemetry.engine import Engine
from storage.telemetry.retention import TABLES, RetentionNotApplied, keep, ttls


@pytest.fixture
def kept(engine: Engine) -> Iterator[Engine]:
    """Return the engine; its tables are kept as before afterwards."""
    before = {table: ttl.days for table, ttl in ttls(engine).items()}
    yield engine
    keep(engine, {name: before[tables[0]] for name, tables in TABLES.items()})


def test_every_table_but_the_halves_belongs_to_a_setting(engine: Engine) -> None:
    assert set(ttls(engine)) - {"resources"} == {table for tables in TABLES.values() for table in tables}


def test_a_resource_outlives_all_that_it_sent(kept: Engine) -> None:
    assert keep(kept, {"traces": 3, "logs": 90, "metrics": 5})["resources"] == 91


def test_what_is_asked_for_is_what_the_ddl_says(kept: Engine) -> None:
    applied = keep(kept, {"traces": 3, "metrics": 400})
    for table in (*TABLES["traces"], *TABLES["metrics"]):
        (row,) = kept.query("SELECT create_table_query AS ddl FROM system.tables WHERE name = {name:String}", {"name": table})
        assert f"toIntervalDay({applied[table]})" in row["ddl"]
    assert (applied["spans"], applied["metric_points"], applied["logs"]) == (3, 400, ttls(kept)["logs"].days)


def test_asking_again_changes_nothing(kept: Engine) -> None:
    keep(kept, {"logs": 2})
    modified = "SELECT metadata_modification_time AS at FROM system.tables WHERE name = 'logs'"
    before = kept.query(modified, {})
    assert keep(kept, {"logs": 2})["logs"] == 2
    assert kept.query(modified, {}) == before


def test_a_change_that_does_nothing_is_told(engine: Engine) -> None:
    class Deaf:
        """Answers, and does nothing that it is told."""

        @property
        def nodes(self) -> list[Any]:
            return [self]

        def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
            return engine.query(sql, parameters)

        def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
            pass

    with pytest.raises(RetentionNotApplied, match="spans is kept for 7 days, though 3 were asked for"):
        keep(Deaf(), {"traces": 3})  # type: ignore[arg-type]
