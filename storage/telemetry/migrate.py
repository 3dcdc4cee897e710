"""Applies the numbered schema files, each once."""

from importlib import resources

from storage.telemetry.engine import Engine

_APPLIED = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version UInt32,
    name String,
    applied_at DateTime DEFAULT now()
) ENGINE = ReplacingMergeTree(applied_at)
ORDER BY version
"""


def migrate(engine: Engine) -> list[str]:
    """Bring the schema up to date and return the names of the files applied; running it again applies nothing.

    Several processes may do so at once, and a start that was killed half-way is finished by the next: each statement bears
    being run twice (IF NOT EXISTS), so that there is nothing to lock. In a cluster every node has the schema for itself.
    """
    return sorted({file for node in engine.nodes for file in _migrate(node)})


def pending(node: Engine) -> list[str]:
    """Return the names of the files that have not been applied to this node; only reads, so that anybody may look."""
    applied = _applied(node)
    return [file for file in _files() if file not in applied]


def _migrate(node: Engine) -> list[str]:
    todo = pending(node)
    if todo:
        node.command(_APPLIED)
    for file in todo:
        for statement in statements(_read(file)):
            node.command(statement)
        node.command(
            "INSERT INTO schema_migrations (version, name) SELECT {version:UInt32}, {name:String}",
            {"version": int(file[:4]), "name": file},
        )
    return todo


def _applied(node: Engine) -> set[str]:
    known = "SELECT name FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
    if not node.query(known, {}):
        return set()
    return {row["name"] for row in node.query("SELECT name FROM schema_migrations", {})}


def statements(sql: str) -> list[str]:
    """Split a file into its statements; each ends with a semicolon at the end of a line."""
    return [part for part in (chunk.strip() for chunk in (sql + "\n").split(";\n")) if _says_something(part)]


def _says_something(statement: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("--") for line in statement.splitlines())


def _files() -> list[str]:
    return sorted(entry.name for entry in resources.files("storage.telemetry.schema").iterdir() if entry.name.endswith(".sql"))


def _read(file: str) -> str:
    return resources.files("storage.telemetry.schema").joinpath(file).read_text("utf-8")
