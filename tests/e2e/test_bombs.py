"""No request makes the process grow by more than 64 MiB, however much it unfolds into; it is told which limit it passed."""

import gzip
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from core.wire import inside
from tests.fakes.processes import Meshscope
from tests.fakes.spans import SERVER, Span, request

GROWTH_KIB = 64 * 1024
FULL = 16 * 1024 * 1024 - 100
PROTOBUF, JSON = {"content-type": "application/x-protobuf"}, {"content-type": "application/json"}
GZIP = PROTOBUF | {"content-encoding": "gzip"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshscope]:
    home = tmp_path_factory.mktemp("bombs")
    running = Meshscope(home / "data", home / "up.log", http_port="0").until_ready()
    for signal in ("traces", "logs", "metrics"):  # what is allocated once for all
        for _ in range(3):
            body = _span(b"") if signal == "traces" else b"\x0a\x00"
            assert httpx.post(running.url_of(signal), content=body, headers=PROTOBUF, timeout=60).status_code == 200
    honest = request(Span("honest", SERVER, attributes={f"key-{n}": "value" for n in range(12)}) for _ in range(8000))
    assert httpx.post(running.traces_url, content=honest, headers=PROTOBUF, timeout=60).status_code == 200
    yield running
    running.kill()


def _span(content: bytes) -> bytes:
    return inside((1, 2, 2), inside((1,), random.randbytes(16)) + inside((2,), random.randbytes(8)) + content)


def _resource() -> bytes:
    """4 KiB of attributes."""
    return inside((1,), b"".join(inside((1,), inside((1,), b"key%d" % n) + inside((2, 1), b"v" * 40)) for n in range(80)))


def _nested_json(depth: int) -> bytes:
    value = b'{"stringValue":"x"}'
    for _ in range(depth):
        value = b'{"arrayValue":{"values":[' + value + b"]}}"
    span = b'{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","attributes":[{"key":"k","value":%s}]}'
    return b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + span % value + b"]}]}]}"


def _many(what: bytes, count: int) -> bytes:
    return b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[' + b",".join([what] * count) + b"]}]}]}]}"


def _gzip_bomb() -> bytes:
    member = gzip.compress(bytes(64 * 1024 * 1024))
    return member * (FULL // len(member))  # 16 MiB that are 16 GiB


BOMBS: dict[str, tuple[str, dict[str, str], int, str, Callable[[], bytes]]] = {
    "gzip": ("traces", GZIP, 413, "max_body_bytes", _gzip_bomb),
    "gzip of empty spans": (
        "traces",
        GZIP,
        413,
        "max_items_per_request|max_values_per_request",
        lambda: gzip.compress(inside((1, 2), b"\x12\x00" * (FULL // 2))),
    ),
    "empty resources": (
        "traces",
        PROTOBUF,
        413,
        "max_items_per_request|max_values_per_request",
        lambda: b"\x0a\x00" * (FULL // 2),
    ),
    "empty spans": (
        "traces",
        PROTOBUF,
        413,
        "max_items_per_request|max_values_per_request",
        lambda: inside((1, 2), b"\x12\x00" * (FULL // 2)),
    ),
    "empty log records": (
        "logs",
        PROTOBUF,
        413,
        "max_items_per_request|max_values_per_request",
        lambda: inside((1, 2), b"\x12\x00" * (FULL // 2)),
    ),
    "empty points": ("metrics", PROTOBUF, 413, "max_", lambda: inside((1, 2, 2, 5), b"\x0a\x00" * (FULL // 2))),
    "empty attributes": ("traces", PROTOBUF, 413, "max_values_per_request", lambda: _span(b"\x4a\x00" * (FULL // 2 - 20))),
    "empty attributes of many spans": (
        "traces",
        PROTOBUF,
        413,
        "max_values_per_request",
        lambda: b"".join(_span(b"\x4a\x00" * 100_000) for _ in range(80)),
    ),
    "empty events": ("traces", PROTOBUF, 413, "max_values_per_request", lambda: _span(b"\x5a\x00" * (FULL // 2 - 20))),
    "empty values in an array": (
        "traces",
        PROTOBUF,
        413,
        "max_values_per_request",
        lambda: _span(inside((9, 2, 5), b"\x0a\x00" * (FULL // 2 - 50))),
    ),
    "nested key-value lists": ("traces", PROTOBUF, 400, "MaxDepth", lambda: _span(inside((9, 2, *((6, 1, 2) * 5000)), b""))),
    "points under a large resource": (
        "metrics",
        PROTOBUF,
        413,
        "max_copied_bytes",
        lambda: inside((1,), _resource() + inside((2, 2, 5), b"\x0a\x00" * 100_000)),
    ),
    "JSON of nothing": ("traces", JSON, 413, "max_values_per_request", lambda: _many(b"{}", 1_300_000)),
    "JSON of numbers": ("traces", JSON, 413, "max_values_per_request", lambda: _many(b"0", 2_000_000)),
    "JSON of lists": ("traces", JSON, 413, "max_values_per_request", lambda: _many(b"[" * 200 + b"]" * 200, 10_000)),
    "nested JSON": ("traces", JSON, 400, "nested|recursion", lambda: _nested_json(60_000)),
    "nested JSON of some depth": ("traces", JSON, 400, "depth|nested", lambda: _nested_json(200)),
    "as much JSON as is taken": ("traces", JSON, 400, "spans were refused", lambda: _many(b'{"":{}}', 80_000)),
    "as many attributes as are taken": ("traces", PROTOBUF, 200, "", lambda: _span(b"\x4a\x00" * 240_000)),
    "as many copies as are taken": (
        "metrics",
        PROTOBUF,
        200,
        "",
        lambda: inside((1,), _resource() + inside((2, 2, 5), (inside((1,), b"\x21" + random.randbytes(8))) * 12_000)),
    ),
}


def _kib(running: Meshscope, name: str) -> int:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1])


def _grown(running: Meshscope, send: Callable[[], None]) -> int:
    """Return by how many KiB the process was larger at most than before."""
    before = _kib(running, "VmRSS")
    Path(f"/proc/{running.process.pid}/clear_refs").write_text("5")  # the highest so far is forgotten
    send()
    return _kib(running, "VmHWM") - before


@pytest.mark.parametrize(("signal", "headers", "status", "says", "body"), BOMBS.values(), ids=BOMBS.keys())
def test_memory_grows_little(
    running: Meshscope, signal: str, headers: dict[str, str], status: int, says: str, body: Callable[[], bytes]
) -> None:
    def send() -> None:
        answer = httpx.post(running.url_of(signal), content=body(), headers=headers, timeout=60)
        assert answer.status_code == status, answer.content
        assert any(word in answer.text for word in says.split("|")), answer.text

    # Merges and settling take memory of their own now and then; a bomb takes it each time.
    assert min(_grown(running, send) for _ in range(3)) < GROWTH_KIB
    running.check()
