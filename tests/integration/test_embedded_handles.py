import os
from contextlib import suppress
from pathlib import Path
from threading import Thread

from storage.telemetry.engine import Engine
from tests.fakes.spans import SERVER, Span, request

LONG_S = 20


def test_what_is_inserted_waits_for_no_other_statement(engine: Engine, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = f"SELECT * FROM file('{pipe}', 'LineAsString')"  # waits for somebody to write
    with engine.session() as session:
        statements = [
            Thread(target=session.command, args=(read,)),
            Thread(target=engine.command, args=(read,)),
            Thread(target=engine.query, args=(read, {})),
        ]
        inserting = Thread(target=engine.insert, args=("traces", [request([Span("web", SERVER)])], "block"))
        for each in (*statements, inserting):
            each.start()
        inserting.join(LONG_S)
        inserted, waiting = not inserting.is_alive(), all(statement.is_alive() for statement in statements)
        for each in (*statements, inserting):
            while each.is_alive():
                with suppress(OSError):  # nobody reads any more
                    os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
                each.join(0.05)
    assert inserted
    assert waiting
    assert engine.query("SELECT count() AS spans FROM spans", {}) == [{"spans": 1}]
