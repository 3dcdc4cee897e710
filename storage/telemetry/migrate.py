"""Applies the numbered schema files, each once."""

from importlib import resources

from storage.telemetry.engine import Engine

_APPLIED = """
CREATE TABLE IF NOT EXISTS schema_migrations (version UInt32, name String, applied_at DateTime DEFAULT now())
ENGINE = MergeTree ORDER BY version
"""


def migrate(engine: Engine) -> list[str]:
    """Bring the schema up to date and return the names of the files applied; running it again applies nothing.

    Each statement must bear being run twice (IF NOT EXISTS), so that a start that was killed half-way is finished by the next.
    """
    engine.command(_APPLIED)
    applied = {row["name"] for row in engine.query("SELECT name FROM schema_migrations", {})}
    todo = [file for file in _files() if file not in applied]
    for file in todo:
        for statement in statements(_read(file)):
            engine.command(statement)
        engine.command(
            "INSERT INTO schema_migrations (version, name) SELECT {version:UInt32}, {name:String}",
            {"version": int(file[:4]), "name": file},
        )
    return todo


def statements(sql: str) -> list[str]:
    """Split a file into its statements; each ends with a semicolon at the end of a line."""
    return [part for part in (chunk.strip() for chunk in (sql + "\n").split(";\n")) if _says_something(part)]


def _says_something(statement: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("--") for line in statement.splitlines())


def _files() -> list[str]:
    return sorted(entry.name for entry in resources.files("storage.telemetry.schema").iterdir() if entry.name.endswith(".sql"))


def _read(file: str) -> str:
    return resources.files("storage.telemetry.schema").joinpath(file).read_text("utf-8")
