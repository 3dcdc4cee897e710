"""What can go wrong between us and a ClickHouse server, and what people are told then."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from urllib3.exceptions import InsecureRequestWarning

from storage.telemetry.engine import StoreRefusesUs, StoreUnavailable
from storage.telemetry.engine_clickhouse import open_server
from storage.telemetry.migrate import migrate
from storage.telemetry.server import Server, ServerUrlInvalid, read_url
from tests.fakes.clickhouse import ClickHouse
from tests.fakes.processes import Process, free_port
from tests.fakes.spans import SERVER, Span, request


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Return what starts a server of the test's own; it is killed afterwards."""
    started: list[ClickHouse] = []

    def start(*options: str) -> ClickHouse:
        started.append(ClickHouse(tmp_path / f"clickhouse-{len(started)}", *options))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def test_a_server_that_went_and_came_back_takes_the_same_block_once(start: Any) -> None:
    running = start().until_ready()
    engine = open_server(running.server)
    migrate(engine)
    block = [request([Span("A", SERVER)])]
    engine.insert("traces", block, "otlp_spans:0:0-1")
    running.kill()
    with pytest.raises(StoreUnavailable, match=r"does not answer; is it running, and is clickhouse_url right\?") as trouble:
        engine.insert("traces", block, "otlp_spans:0:0-1")
    assert trouble.value.retryable
    running.again()
    running.until_ready()
    engine.insert("traces", block, "otlp_spans:0:0-1")
    assert engine.query("SELECT count() AS spans, (SELECT sum(calls) FROM golden_signals_10s) AS calls FROM spans", {}) == [
        {"spans": 1, "calls": 1}
    ]
    engine.close()


def test_who_is_not_let_in_is_told_what_to_check(start: Any) -> None:
    running = start("--user", "ingest", "--password", "geheim: 100 %")
    knows = replace(running.server, user="ingest", password="geheim: 100 %")
    running.until_ready(knows)
    for wrong in (replace(knows, password="?"), replace(knows, user="default"), running.server):
        with pytest.raises(StoreRefusesUs, match="check clickhouse_user, clickhouse_password") as refused:
            open_server(wrong)
        assert not refused.value.retryable
        assert "geheim" not in str(refused.value)


def test_tls_with_a_certificate_that_we_trust_and_with_none(start: Any, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    named = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run(["openssl", *made, *named, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    running = start("--cert", str(cert), "--key", str(key))
    trusted = replace(running.server, tls=True, ca_file=cert)
    running.until_ready(trusted)
    engine = open_server(trusted)
    assert engine.query("SELECT 1 AS one", {}) == [{"one": 1}]
    engine.close()
    with pytest.warns(InsecureRequestWarning):
        open_server(replace(running.server, tls=True, verify=False)).close()
    with pytest.raises(StoreRefusesUs, match=r"cannot be trusted or does not speak TLS.*clickhouse_ca_file"):
        open_server(replace(running.server, tls=True))
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1"):
        open_server(running.server)  # plain HTTP to a port that speaks TLS
    with pytest.raises(StoreRefusesUs, match="does not speak TLS"):
        open_server(replace(start().until_ready().server, tls=True))


def test_a_server_that_is_silent_is_given_up_on() -> None:
    with _silent() as port, pytest.raises(StoreUnavailable, match="does not answer in time"):
        open_server(Server("127.0.0.1", port, answer_s=1))


@contextmanager
def _silent() -> Iterator[int]:
    """Yield the port of a listener that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def take() -> None:
            try:
                while True:
                    taken.append(listener.accept()[0])
            except OSError:
                pass

        threading.Thread(target=take, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for each in taken:
            each.close()


def test_two_processes_that_migrate_at_once_leave_one_schema(start: Any, tmp_path: Path) -> None:
    running = start().until_ready()
    command = (sys.executable, "-m", "cli", "migrate", "--clickhouse-url", running.server.where)
    both = [Process(tmp_path / f"migrate-{number}.log", *command) for number in range(2)]
    assert [each.process.wait(60) for each in both] == [0, 0], [each.said() for each in both]
    again = Process(tmp_path / "again.log", *command)
    assert (again.process.wait(60), again.said().strip()) == (0, "0 applied")
    engine = open_server(running.server)
    files = [row["name"] for row in engine.query("SELECT name FROM schema_migrations FINAL ORDER BY version", {})]
    assert files == sorted(
        {line.removeprefix("applied ") for each in both for line in each.said().splitlines() if ".sql" in line}
    )
    engine.insert("traces", [request([Span("A", SERVER)])], "otlp_spans:0:0-1")
    assert engine.query("SELECT count() AS spans, (SELECT sum(calls) FROM golden_signals_10s) AS calls FROM spans", {}) == [
        {"spans": 1, "calls": 1}
    ]
    engine.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "name a server with --clickhouse-url"),
        (("--clickhouse-url", "ftp://geheim@host"), "expected http://host:8123"),
        (("--clickhouse-url", "http://127.0.0.1:{port}"), "is it running, and is clickhouse_url right?"),
    ],
    ids=["no server", "no url", "nobody there"],
)
def test_migrate_says_what_is_wrong(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    told = [option.format(port=free_port()) for option in options]
    process = Process(tmp_path / "migrate.log", sys.executable, "-m", "cli", "migrate", *told)
    assert process.process.wait(60) != 0
    assert said in process.said()
    assert "Traceback" not in process.said()
    assert "geheim" not in process.said()


@pytest.mark.parametrize("url", ["", "host:8123", "ftp://host", "http://", "http://host:port", "http://host/?a=1", "http://[::1"])
def test_urls_that_cannot_be_read(url: str) -> None:
    with pytest.raises(ServerUrlInvalid, match="expected http://host:8123"):
        read_url(url)


def test_what_a_url_says() -> None:
    address = read_url("https://me:a%40b@db.example/telemetry")
    assert (address.host, address.port, address.tls, address.user, address.password, address.database) == (
        *("db.example", 8443, True),
        *("me", "a@b", "telemetry"),
    )
    assert "a@b" not in repr(address)
