"""A real Apache Kafka for tests: the one that KAFKA_BOOTSTRAP_SERVERS names, else one of our own on free ports."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from collector.kafka import TOPICS
from tests.fakes.processes import until

SCRIPT = Path(__file__).parent.parent.parent / "deploy/kafka/kafka"


class Kafka:
    """One node of our own on loopback; stopped and started again it has what it had."""

    def __init__(self, home: Path) -> None:
        self._home, self._port = home, _two_free_ports()
        self.servers = f"127.0.0.1:{self._port}"

    def up(self) -> None:
        subprocess.run([str(SCRIPT), "up", str(self._home), str(self._port)], check=True, timeout=600)

    def down(self) -> None:
        subprocess.run([str(SCRIPT), "down", str(self._home)], check=True, timeout=60)

    def kill(self) -> None:
        """Kill it, and see that it is gone; its process id may stay for a while when nobody fetches its exit status."""
        os.kill(int((self._home / "pid").read_text()), signal.SIGKILL)
        (self._home / "pid").unlink()
        until("the port being free", lambda: not self._listens())

    def _listens(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self._port)) == 0


@contextmanager
def kafka(home: Path) -> Iterator[str]:
    """Yield the bootstrap servers."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    node = Kafka(home)
    node.up()
    try:
        yield node.servers
    finally:
        node.down()


async def lag(servers: str, group: str) -> int:
    """Return how many messages of all topics the group has not yet committed; a plan does not count as committed."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    consumer = AIOKafkaConsumer(bootstrap_servers=servers)
    await admin.start()
    await consumer.start()
    try:
        topics = await admin.describe_topics([*TOPICS.values()])
        partitions = [TopicPartition(topic["topic"], each["partition"]) for topic in topics for each in topic["partitions"]]
        ends = await consumer.end_offsets(partitions)
        committed = await admin.list_consumer_group_offsets(group)
        return sum(end - (committed[each].offset if each in committed else 0) for each, end in ends.items())
    finally:
        await consumer.stop()
        await admin.close()


def _two_free_ports() -> int:
    """Return a port that is free together with the next one; where the search begins differs between test processes."""
    for port in range(29092 + os.getpid() % 4096 * 2, 39092, 2):
        try:
            with socket.create_server(("127.0.0.1", port)), socket.create_server(("127.0.0.1", port + 1)):
                return port
        except OSError:
            continue
    raise AssertionError("no two free ports in a row")
