"""A ClickHouse server for tests: the one that MESHSCOPE_TEST_CLICKHOUSE_URL names, else the fake one, a process of its own."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from storage.telemetry.engine import StoreUnavailable
from storage.telemetry.engine_clickhouse import open_server
from storage.telemetry.server import Server, read_url
from tests.fakes.processes import Process, free_port, until


class ClickHouse(Process):
    """The fake server; started again on the same directory it has what it had."""

    def __init__(self, directory: Path, *options: str, host: str = "127.0.0.1", port: int | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self._options = directory, options
        self.server = Server(host, port or free_port())
        self._start()

    def _start(self) -> None:
        where = (str(self.directory), self.server.host, str(self.server.port))
        command = (sys.executable, "-m", "tests.fakes.clickhouse_http", *where, *self._options)
        super().__init__(self.directory / "server.log", *command)

    def again(self) -> None:
        """Start it once more, after it was killed."""
        self._start()

    def until_ready(self, server: Server | None = None) -> "ClickHouse":
        def ready() -> bool:
            self.check()
            try:
                open_server(server or self.server).close()
            except StoreUnavailable:
                return False
            return True

        until("a server that answers", ready)
        return self


HOSTS = ("127.0.0.1", "127.0.0.2")


def _shard(*hosts: str) -> str:
    replicas = "".join(f"<replica><host>{host}</host><port>9000</port></replica>" for host in hosts)
    return f"<shard><internal_replication>true</internal_replication>{replicas}</shard>"


# A node is its own shard of the cluster `one`; chDB has no port 9000, so that nobody can be asked over it.
_CLUSTERS = f"""<clickhouse><tcp_port>9000</tcp_port><remote_servers>
<one>{_shard(HOSTS[0])}</one>
<two>{_shard(HOSTS[0])}{_shard(HOSTS[1])}</two>
<replicas>{_shard(*HOSTS)}</replicas>
</remote_servers></clickhouse>"""


@dataclass(frozen=True)
class Cluster:
    """Two shards, each a fake server, on one port of two addresses; ``server`` is the way in."""

    server: Server
    shards: tuple[ClickHouse, ClickHouse]


@contextmanager
def cluster(directory: Path) -> Iterator[Cluster]:
    """Yield a cluster named `two`; its servers also know `one` (only the first shard) and `replicas` (both as one shard)."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "config.xml"
    config.write_text(_CLUSTERS)
    first = ClickHouse(directory / "first", "--config", str(config), host=HOSTS[0])
    second = ClickHouse(directory / "second", "--config", str(config), host=HOSTS[1], port=first.server.port)
    try:
        yield Cluster(replace(first.server, cluster="two"), (first.until_ready(), second.until_ready()))
    finally:
        first.kill()
        second.kill()


@contextmanager
def clickhouse(directory: Path) -> Iterator[Server]:
    """Yield a server with a database of its own, which is dropped afterwards."""
    if url := os.environ.get("MESHSCOPE_TEST_CLICKHOUSE_URL"):
        address = read_url(url)
        server = Server(address.host, address.port, address.tls, address.user or "default", address.password)
        server = replace(server, database=f"meshscope_test_{uuid4().hex[:12]}")
        yield server
        engine = open_server(server)
        engine.command(f"DROP DATABASE {server.database}")
        engine.close()
        return
    process = ClickHouse(directory).until_ready()
    try:
        yield process.server
    finally:
        process.kill()
