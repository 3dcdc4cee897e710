"""A webhook receiver: a real HTTP server on loopback that answers as it is told and remembers what it got."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Received:
    path: str
    headers: Mapping[str, str]
    body: bytes
    answered: int


@dataclass(slots=True)
class Receiver:
    url: str = ""
    statuses: list[int] = field(default_factory=list)  # answered in this order, then 200
    answer_headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)
    arrived: int = 0
    hold: bool = False  # keep requests waiting until ``let_go``

    @property
    def accepted(self) -> list[Received]:
        return [request for request in self.received if request.answered == 200]


@contextmanager
def receiving(statuses: Sequence[int] = (), *, port: int = 0) -> Iterator[Receiver]:
    """Run a receiver; its ``url`` has a secret path."""
    receiver = Receiver(statuses=list(statuses))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.arrived += 1
            if receiver.hold:
                receiver.let_go.wait(10)
            status = receiver.statuses.pop(0) if receiver.statuses else 200
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, headers, body, status))
            self.send_response(status)
            for name, value in receiver.answer_headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook/T0P-s3cret?token=sw0rdfish"
    try:
        yield receiver
    finally:
        receiver.let_go.set()
        server.shutdown()
        thread.join()
        server.server_close()
