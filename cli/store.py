"""Opens the store as the settings want it, for every command that uses one: embedded, on a server, or in a cluster."""

import asyncio
import logging
from contextlib import AsyncExitStack, suppress

from cli.settings import Settings
from core.clock import Clock
from core.faults import Fault
from storage.telemetry.engine import Engine, StoreUnavailable
from storage.telemetry.engine_clickhouse import open_embedded, open_server, own
from storage.telemetry.engine_cluster import open_cluster
from storage.telemetry.migrate import migrate, pending
from storage.telemetry.retention import TABLES, keep
from storage.telemetry.server import Server, read_url

log = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0


class ServerUnknown(Fault):
    """The command needs a ClickHouse server and was not told where it is."""

    code = "server_unknown"


class NotMigrated(Fault):
    """A node of the cluster lacks some of the schema."""

    code = "not_migrated"


class NotInClusters(Fault):
    """What was asked for is not done in clusters."""

    code = "not_in_clusters"


async def open_store(stack: AsyncExitStack, settings: Settings) -> Engine:
    """Return the store, with its schema up to date and kept as long as asked; it is let go of with ``stack``.

    A cluster is taken as `meshscope migrate` left it: a node that is down must not keep the others from starting.
    """
    engine = await asyncio.to_thread(_open, settings)
    stack.callback(engine.close)
    await asyncio.to_thread(_must_be_migrated if settings.clickhouse_cluster else _prepare, engine, settings)
    return engine


async def open_store_when_there(stack: AsyncExitStack, settings: Settings, clock: Clock) -> Engine:
    """Return the store (see ``open_store``), after its server answers: wait for one that is away, and say so.

    What waiting does not help is raised at once: a wrong log-in, a certificate that cannot be trusted.
    """
    pause = _FIRST_PAUSE_S
    while True:
        try:
            async with AsyncExitStack() as attempt:
                engine = await open_store(attempt, settings)
                stack.push_async_callback(attempt.pop_all().aclose)
                return engine
        except StoreUnavailable as away:
            if not away.retryable or not settings.clickhouse_url:
                raise
            log.warning("waiting for the store, trying again in %.0f s: %s", pause, away)
        await clock.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def own_data_dir(stack: AsyncExitStack, settings: Settings) -> None:
    """Keep other processes from the data directory while ``stack`` lasts; an embedded store does so itself.

    On a server too, the journal and the alerts stand there, and they have one owner.
    """
    if settings.clickhouse_url:
        stack.callback(own(settings.data_dir).close)


async def prepare_server(settings: Settings) -> list[str]:
    """Bring a server up to date, or each node of a cluster: its schema, and how long it keeps what; return the files applied."""
    if not settings.clickhouse_url:
        raise ServerUnknown("an embedded store is migrated when it is opened; name a server with --clickhouse-url")
    async with AsyncExitStack() as stack:
        engine = await asyncio.to_thread(_open, settings)
        stack.callback(engine.close)
        return await asyncio.to_thread(_prepare, engine, settings)


def _open(settings: Settings) -> Engine:
    if not settings.clickhouse_url:
        return open_embedded(settings.data_dir)
    if settings.clickhouse_cluster and settings.thin_traces_after_hours:
        raise NotInClusters("traces are not thinned in a cluster; leave thin_traces_after_hours at 0 or clickhouse_cluster out")
    server = server_of(settings)
    return open_cluster(server) if server.cluster else open_server(server)


def _prepare(engine: Engine, settings: Settings) -> list[str]:
    applied = migrate(engine)
    keep(engine, {name: getattr(settings, f"keep_{name}_days") for name in TABLES})
    return applied


def _must_be_migrated(engine: Engine, settings: Settings) -> None:
    for node in engine.nodes:
        with suppress(StoreUnavailable):
            if behind := pending(node):
                raise NotMigrated(
                    f"{node!r} lacks {', '.join(behind)}; bring every node up to date with: "
                    f"meshscope migrate --cluster {settings.clickhouse_cluster}"
                )


def server_of(settings: Settings) -> Server:
    """Return the server that the settings name; what its URL says goes before what stands beside it."""
    assert settings.clickhouse_url
    address, password = read_url(settings.clickhouse_url), settings.clickhouse_password
    return Server(
        address.host,
        address.port,
        address.tls,
        address.user or settings.clickhouse_user,
        address.password or (password.get_secret_value() if password else ""),
        address.database or settings.clickhouse_database,
        settings.clickhouse_ca_file,
        settings.clickhouse_verify,
        settings.clickhouse_cert_file,
        settings.clickhouse_key_file,
        settings.clickhouse_cluster or "",
    )
