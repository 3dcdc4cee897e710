"""Opens the embedded store as the settings want it, for every command that owns one."""

import asyncio
from contextlib import AsyncExitStack

from cli.settings import Settings
from storage.telemetry.engine import Engine
from storage.telemetry.engine_clickhouse import open_embedded
from storage.telemetry.migrate import migrate
from storage.telemetry.retention import TABLES, keep


async def open_store(stack: AsyncExitStack, settings: Settings) -> Engine:
    """Return the store, with its schema up to date and kept as long as asked; it is let go of with ``stack``."""
    engine = open_embedded(settings.data_dir)
    stack.callback(engine.close)
    await asyncio.to_thread(migrate, engine)
    await asyncio.to_thread(keep, engine, {name: getattr(settings, f"keep_{name}_days") for name in TABLES})
    return engine
