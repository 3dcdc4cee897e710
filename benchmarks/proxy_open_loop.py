"""An open-loop HTTP/1.1 client: requests begin when it is their time, whatever became of those before them.

``python -m benchmarks.proxy_open_loop PORT RATE SECONDS SEED < request`` prints the latencies in microseconds as JSON.
A latency counts from the moment that the schedule says to the answer's last byte, so that a request which has to wait for a
connection, or for this client, is late and not left out. Arrivals are random (Poisson), as those of many independent clients
are, and the same for the same seed. It waits with ``select``, which counts microseconds where
``epoll`` counts milliseconds.
"""

import gc
import json
import random
import re
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack

CONNECTIONS = 64
LONGEST_WAIT_S = 10.0
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Incomplete(Exception):
    """An answer was no success, or did not come."""


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Return the moments at which requests begin; seconds from the start."""
    chance = random.Random(seed)
    moments, now = [], chance.expovariate(rate)
    while now < seconds:
        moments.append(now)
        now += chance.expovariate(rate)
    return moments


def drive(port: int, request: bytes, moments: Sequence[float], connections: int = CONNECTIONS) -> list[float]:
    """Send ``request`` at each moment; return the latencies in seconds. Raises Incomplete."""
    with ExitStack() as stack:
        return _drive([stack.enter_context(_connected(port)) for _ in range(connections)], request, moments)


def _drive(idle: list[socket.socket], request: bytes, moments: Sequence[float]) -> list[float]:
    owed = deque[float]()
    sent: dict[socket.socket, float] = {}
    received: dict[socket.socket, bytes] = {}
    latencies: list[float] = []
    coming = iter(moments)
    clock = time.perf_counter
    start = clock()
    due = start + next(coming)
    while sent or owed or due != float("inf"):
        now = clock()
        while due <= now:
            owed.append(due)
            due = start + next(coming, float("inf"))
        while owed and idle:
            connection = idle.pop()
            connection.send(request)
            sent[connection] = owed.popleft()
        wait = min(max(due - clock(), 0.0), LONGEST_WAIT_S)
        readable = select.select(sent, (), (), wait)[0]
        if not readable and wait == LONGEST_WAIT_S:
            raise Incomplete(f"{len(sent)} answers did not come within {LONGEST_WAIT_S} s")
        for connection in readable:
            if _whole(connection, received):
                latencies.append(clock() - sent.pop(connection))
                idle.append(connection)
    return latencies


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _whole(connection: socket.socket, received: dict[socket.socket, bytes]) -> bool:
    """Read; tell whether the answer is complete."""
    data = received.pop(connection, b"") + connection.recv(65536)
    head, found, body = data.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if not data or (found and (length is None or b" 200 " not in head[:16])):
        raise Incomplete(f"an answer began with {data[:200]!r}")
    if found and length is not None and len(body) >= int(length[1]):
        return True
    received[connection] = data
    return False


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def main() -> None:
    port, rate, seconds, seed = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    gc.disable()  # its pauses would be taken for the proxy's
    latencies = drive(port, sys.stdin.buffer.read(), arrivals(rate, seconds, seed))
    print(json.dumps([round(latency * 1e6, 1) for latency in latencies]))


if __name__ == "__main__":
    main()
