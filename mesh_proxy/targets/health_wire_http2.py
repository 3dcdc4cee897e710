"""Health checks over HTTP/2: a GET, or the call of the gRPC health protocol."""

from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded
from h2.exceptions import ProtocolError

from mesh_proxy.targets.health_wire import MOST_BYTES, Question, question_headers

SERVING = b"\x08\x01"
"""HealthCheckResponse{status: SERVING}."""


class Http2Question(Question):
    """GET over HTTP/2."""

    def ask(self) -> None:
        """Send the request."""
        self._h2 = H2Connection(H2Configuration(client_side=True))
        self._h2.initiate_connection()
        self.request()
        self.transport.write(self._h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        """Read until the answer is there."""
        try:
            events = self._h2.receive_data(data)
            self.transport.write(self._h2.data_to_send())
        except ProtocolError:
            self.resolve(well=False)
            return
        for event in events:
            self.heard(event)

    def request(self) -> None:
        """Put the request on the stream."""
        self._h2.send_headers(1, self.head("GET", self._path), end_stream=True)

    def head(self, method: str, path: str) -> list[tuple[str, str]]:
        """Return the head of the request."""
        pseudo = [(":method", method), (":scheme", "http"), (":authority", self._authority), (":path", path)]
        return pseudo + [cast("tuple[str, str]", tuple(line.split(": ", 1))) for line in question_headers()]

    def heard(self, event: Event) -> None:
        """Take an event of the connection."""
        if isinstance(event, ResponseReceived):
            status = dict(event.headers or ()).get(b":status")
            self.resolve(well=status == b"200")


class GrpcQuestion(Http2Question):
    """Health/Check of the gRPC health protocol, for the server as a whole."""

    _received = b""

    def request(self) -> None:
        """Put the call on the stream: an empty HealthCheckRequest."""
        head = self.head("POST", "/grpc.health.v1.Health/Check")
        self._h2.send_headers(1, [*head, ("content-type", "application/grpc"), ("te", "trailers")])
        self._h2.send_data(1, bytes(5), end_stream=True)

    def heard(self, event: Event) -> None:
        """Read the message; without one the call has failed."""
        if isinstance(event, DataReceived):
            self._received += event.data
            if len(self._received) > MOST_BYTES:
                self.resolve(well=False)
        elif isinstance(event, StreamEnded):
            self.resolve(well=self._received[5:] == SERVING)
