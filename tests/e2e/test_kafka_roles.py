"""`meshscope collect`, Kafka and `meshscope ingest` as processes: what was answered is stored once, whoever is killed."""

import asyncio
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.kafka import kafka, lag
from tests.fakes.load import ITEMS, Sender, must_be_stored
from tests.fakes.processes import Process, free_port, until

KILLS = 3


class Collect(Process):
    """`meshscope collect`."""

    def __init__(self, log: Path, servers: str) -> None:
        self.port = free_port()
        self.traces_url = f"http://127.0.0.1:{self.port}/v1/traces"
        doors = ("--otlp-http-port", str(self.port), "--otlp-grpc-port", "0", "--collect-metrics-port", "0")
        super().__init__(log, sys.executable, "-m", "cli", "collect", "--kafka-bootstrap-servers", servers, *doors)


class Ingest(Process):
    """`meshscope ingest`."""

    def __init__(self, log: Path, servers: str, data_dir: Path) -> None:
        told = ("--kafka-bootstrap-servers", servers, "--data-dir", str(data_dir), "--ingest-metrics-port", "0")
        super().__init__(log, sys.executable, "-m", "cli", "ingest", *told)

    def stores(self) -> bool:
        self.check()
        return "storing otlp_" in self.said()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[str]:
    with kafka(tmp_path / "kafka") as bootstrap_servers:
        yield bootstrap_servers


@pytest.mark.timeout(400)
def test_every_answered_span_is_stored_once_though_ingest_is_killed(tmp_path: Path, servers: str) -> None:
    collect = Collect(tmp_path / "collect.log", servers)
    ingest = Ingest(tmp_path / "ingest-0.log", servers, tmp_path / "data")
    senders = [Sender(lambda: collect.traces_url) for _ in range(2)]
    try:
        until("collect being ready", lambda: collect.check() or httpx.get(collect.traces_url).status_code == 405)
        for sender in senders:
            sender.start()
        for number in range(1, KILLS + 1):
            until("ingest storing", ingest.stores)
            time.sleep(random.uniform(0.5, 4))  # any moment: before, within and after an insert
            ingest.kill()
            ingest = Ingest(tmp_path / f"ingest-{number}.log", servers, tmp_path / "data")
        for sender in senders:
            sender.stopping.set()
        for sender in senders:
            sender.join(60)
        answered = sum(sender.answered for sender in senders)
        until("ingest storing the rest", lambda: asyncio.run(lag(servers, "meshscope")) == 0, 120)
        assert ingest.stop() == 0, ingest.said()
        assert collect.stop() == 0, collect.said()
    finally:
        collect.kill()
        ingest.kill()
    assert answered > KILLS * ITEMS
    assert sum(sender.repeated for sender in senders) == 0
    must_be_stored(tmp_path / "data", *senders)


def test_a_command_that_needs_kafka_says_so(tmp_path: Path) -> None:
    process = Process(tmp_path / "collect.log", sys.executable, "-m", "cli", "collect")
    assert process.process.wait(60) == 2
    assert process.said().splitlines() == [
        "this command needs Kafka; say where it is with --kafka-bootstrap-servers, for example 127.0.0.1:9092"
    ]
