"""Which store the settings open, and what they are told when it cannot be used."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from cli.settings import Settings
from cli.store import NotInClusters, NotMigrated, open_store, own_data_dir, prepare_server, server_of
from storage.telemetry.engine import StoreInUse
from tests.fakes.clickhouse import ClickHouse

CONFIG = """<clickhouse><tcp_port>9000</tcp_port><remote_servers><mesh><shard><internal_replication>true</internal_replication>
<replica><host>127.0.0.1</host><port>9000</port></replica></shard></mesh></remote_servers></clickhouse>"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    home = tmp_path_factory.mktemp("clickhouse")
    (home / "config.xml").write_text(CONFIG)
    running = ClickHouse(home, "--config", str(home / "config.xml"), "--user", "me", "--password", "p@ss")
    yield running.until_ready(replace(running.server, user="me", password="p@ss"))
    running.kill()


def _settings(running: ClickHouse, **more: object) -> Settings:
    told = {"clickhouse_url": running.server.where, "clickhouse_user": "me", "clickhouse_password": "p@ss"}
    return Settings(**(told | more))  # type: ignore[arg-type]


async def test_a_server_is_migrated_and_told_how_long_to_keep_when_it_is_opened(running: ClickHouse) -> None:
    async with AsyncExitStack() as stack:
        engine = await open_store(stack, _settings(running, keep_logs_days=3))
        (row,) = engine.query("SELECT engine_full FROM system.tables WHERE database = 'meshscope' AND name = 'logs'", {})
        assert "toIntervalDay(3)" in row["engine_full"]


async def test_a_cluster_must_have_been_migrated(running: ClickHouse) -> None:
    settings = _settings(running, clickhouse_cluster="mesh", clickhouse_database="clustered")
    async with AsyncExitStack() as stack:
        with pytest.raises(NotMigrated, match=r"lacks 0001_spans.sql, .*: meshscope migrate --cluster mesh"):
            await open_store(stack, settings)
        assert await prepare_server(settings)
        assert await prepare_server(settings) == []
        engine = await open_store(stack, settings)
        assert engine.query("SELECT count() AS spans FROM spans", {}) == [{"spans": 0}]


async def test_traces_are_not_thinned_in_a_cluster(running: ClickHouse) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(NotInClusters, match="thin_traces_after_hours"):
            await open_store(stack, _settings(running, clickhouse_cluster="mesh", thin_traces_after_hours=24))


async def test_the_data_directory_has_one_owner_also_with_a_server(running: ClickHouse, tmp_path: Path) -> None:
    settings = _settings(running, data_dir=tmp_path / "data")
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        own_data_dir(first, settings)
        with pytest.raises(StoreInUse, match="--data-dir"):
            own_data_dir(second, settings)


def test_what_a_url_says_goes_before_the_settings_beside_it() -> None:
    said = {"clickhouse_user": "me", "clickhouse_password": "mine", "clickhouse_database": "beside"}
    server = server_of(Settings(clickhouse_url="https://you:yours@db.example/said", **said))  # type: ignore[arg-type]
    assert (server.where, server.user, server.password, server.database) == ("https://db.example:8443", "you", "yours", "said")
    server = server_of(Settings(clickhouse_url="http://db.example", **said))  # type: ignore[arg-type]
    assert (server.where, server.user, server.password, server.database) == ("http://db.example:8123", "me", "mine", "beside")
    assert "mine" not in repr(server)
