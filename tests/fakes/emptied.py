"""A store that many tests share, without the rows of the test before."""

from storage.telemetry.engine import Engine


def emptied(store: Engine) -> Engine:
    """Return the store with its schema and no rows."""
    tables = store.query(
        """SELECT name FROM system.tables
           WHERE database = currentDatabase() AND (engine LIKE '%MergeTree' OR engine = 'Set') AND name != 'schema_migrations'""",
        {},
    )
    for table in tables:
        store.command(f"TRUNCATE TABLE {table['name']}")
    return store
