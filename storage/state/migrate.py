"""Brings a state database to the newest form, with the migrations shipped in this package."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from storage.state.database import BEGIN_MODE, answering, open_database

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_338_201  # an arbitrary number that only this program locks on (PostgreSQL)


async def migrate(url: str) -> None:
    """Apply every migration that ``url`` lacks, in one transaction; safe to call at each start, from several processes.

    Raises StateUrlInvalid or StateUnavailable.
    """
    engine = open_database(url)
    try:
        with answering():
            async with engine.execution_options(**{BEGIN_MODE: "IMMEDIATE"}).begin() as connection:
                await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
