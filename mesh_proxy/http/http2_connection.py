"""One HTTP/2 connection, of a client or to an endpoint: flow control both ways, and what it takes from its peer."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingReceived,
    PriorityUpdated,
    RemoteSettingsChanged,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame, GoAwayFrame

from mesh_proxy.http.http2_wire import Pairs

STREAM_WINDOW = 65_535
"""How much of one body may be on its way to us and not passed on; bytes."""
CONNECTION_WINDOW = 1_048_576
HIGH, LOW = 65_536, 16_384
"""From how much waiting for the peer's window the sender is held, until when; bytes."""
MOST_STRAIN = 1_000
"""So many frames a second that carry nothing (pings, settings, priorities, empty data, window updates) are borne..."""
STRAIN_EARNED = 10
"""...and as many more for every DATA frame that we sent, for a peer may answer it."""
MOST_UNREAD = 4_194_304
"""A peer that lets us answer but does not read is left; bytes."""

log = logging.getLogger(__name__)


class Http2Stream:
    """One stream: what is sent on it waits here for the peer's window. Subclasses say what holds and resumes the sender."""

    __slots__ = (
        "_ended",
        "_ending",
        "_pieces",
        "_sent_of_first",
        "_size",
        "_trailers",
        "congested",
        "connection",
        "held",
        "id",
        "unacked",
    )

    def __init__(self, connection: "Http2Connection[Any]", stream_id: int) -> None:
        self.connection, self.id = connection, stream_id
        self._pieces: deque[bytes] = deque()
        self._size = self._sent_of_first = self.unacked = 0
        self._trailers: Pairs = []
        self._ending = self._ended = self.congested = self.held = False

    @property
    def sent(self) -> bool:
        """Whether this side of the stream is finished."""
        return self._ended

    # what a subclass may do when its peer is slow

    def on_slow(self) -> None:
        """The peer takes less than is sent."""

    def on_ready(self) -> None:
        """The peer takes more again."""

    def on_sent(self) -> None:
        """All is sent."""

    # sending

    def send_headers(self, block: Pairs, *, end: bool) -> None:
        """Send a header block."""
        connection = self.connection
        try:
            connection.h2.send_headers(self.id, block, end_stream=end)
        except ProtocolError:  # the stream was reset in the same read; its event follows
            return
        connection.write_soon()
        if end:
            self._end()

    def send(self, piece: bytes) -> None:
        """Send a piece of the body as the peer's window allows."""
        self._pieces.append(piece)
        self._size += len(piece)
        self.pump()
        if self._size > HIGH and not self.congested:
            self.congested = True
            self.on_slow()

    def finish(self, trailers: Pairs) -> None:
        """End this side of the stream once all is sent."""
        self._ending, self._trailers = True, trailers
        self.pump()

    def reset(self, code: ErrorCodes) -> None:
        """Give the stream up."""
        self._pieces.clear()
        self._size = 0
        self._end()
        try:
            self.connection.h2.reset_stream(self.id, code)
        except ProtocolError:  # it is closed already
            return
        self.connection.write_soon()

    def pump(self) -> None:
        """Send what waits, as far as the peer's windows and its reading allow."""
        if self.connection.congested or self._ended:
            return
        try:
            self._pump()
        except ProtocolError:  # the stream was reset in the same read; its event follows
            self._pieces.clear()
            self._size = 0
        if self.congested and self._size < LOW:
            self.congested = False
            self.on_ready()

    def _pump(self) -> None:
        connection, pieces = self.connection, self._pieces
        h2 = connection.h2
        while pieces:
            room = min(h2.local_flow_control_window(self.id), h2.max_outbound_frame_size)
            if room <= 0:
                return
            first, at = pieces[0], self._sent_of_first
            part = first[at : at + room] if at or len(first) > room else first
            if at + len(part) == len(first):
                pieces.popleft()
                self._sent_of_first = 0
            else:
                self._sent_of_first = at + len(part)
            self._size -= len(part)
            end = self._ending and not pieces and not self._trailers
            h2.send_data(self.id, part, end_stream=end)
            connection.sent_data()
            if end:
                self._end()
        if self._ending and not self._ended:
            if self._trailers:
                h2.send_headers(self.id, self._trailers, end_stream=True)
            else:
                h2.send_data(self.id, b"", end_stream=True)
            connection.write_soon()
            self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self.on_sent()

    # taking

    def hold(self) -> None:
        """Let the peer send no more than its window on this stream."""
        self.held = True

    def resume(self) -> None:
        """Let the peer send again."""
        if self.held:
            self.held = False
            self.connection.acknowledge(self)


StreamT = TypeVar("StreamT", bound=Http2Stream)


class LenientH2(H2Connection):
    """h2, but a GOAWAY does not end the streams that it lets live (RFC 9113, 6.8); h2 takes nothing after one."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        event = ConnectionTerminated()
        event.error_code, event.last_stream_id, event.additional_data = frame.error_code, frame.last_stream_id, None
        return [], [event]


class Http2Connection(ABC, asyncio.Protocol, Generic[StreamT]):
    """Bytes in, events to the subclass; frames out, gathered to one write per turn of the event loop."""

    HANDLERS: ClassVar[dict[type[Event], Callable[[Any, Any], None]]]
    transport: asyncio.Transport

    def __init__(self, *, client_side: bool, most_streams: int, head_bytes: int) -> None:
        config = H2Configuration(
            client_side=client_side,
            header_encoding=None,
            validate_outbound_headers=False,  # made by http2_wire, which also judges what comes in
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
        )
        self.h2 = LenientH2(config)
        settings = {
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: head_bytes,
            SettingCodes.MAX_CONCURRENT_STREAMS: most_streams,
        }
        if not client_side:
            del settings[SettingCodes.ENABLE_PUSH]
        self.h2.local_settings = Settings(client=client_side, initial_values=settings)
        self.streams: dict[int, StreamT] = {}
        self.congested = self.settled = False
        self._scheduled = False
        self._unacked = self._strain = 0

    # what the subclass does

    @abstractmethod
    def broken(self, reason: str) -> None:
        """The peer breaks the protocol, or asks for more than is borne; the connection is about to close."""

    # sending

    def write_soon(self) -> None:
        """Write what there is, at the end of this turn of the event loop."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.write)

    def write(self) -> None:
        """Write what there is."""
        self._scheduled = False
        data = self.h2.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def sent_data(self) -> None:
        """A DATA frame was sent."""
        self._strain -= STRAIN_EARNED
        self.write_soon()

    def say_goaway(self, last_stream_id: int, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """Say that no stream above that one is taken; those below go on."""
        self.write()
        if not self.transport.is_closing():
            self.transport.write(GoAwayFrame(0, last_stream_id=last_stream_id, error_code=code).serialize())

    def close(self, reason: str, code: ErrorCodes) -> None:
        """Leave a peer that is not borne any longer."""
        self.broken(reason)
        self.say_goaway(self.h2.highest_inbound_stream_id, code)
        self.transport.close()

    def acknowledge(self, stream: StreamT, *, ended: bool = False) -> None:
        """Give the peer back the window it used, of the connection at once, of a stream that is not held."""
        if self._unacked * 2 >= CONNECTION_WINDOW:
            self.h2.increment_flow_control_window(self._unacked)
            self._unacked = 0
            self.write_soon()
        if not stream.held and not ended and stream.unacked * 2 >= STREAM_WINDOW:
            try:
                self.h2.increment_flow_control_window(stream.unacked, stream.id)
            except (ProtocolError, KeyError):  # the peer has ended the stream
                return
            stream.unacked = 0
            self.write_soon()

    def second(self) -> None:
        """A second has passed."""
        self._strain = 0

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the connection."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(CONNECTION_WINDOW - 65_535)
        self.write()

    def data_received(self, data: bytes) -> None:
        """Let the library read the frames, and handle what they mean."""
        if self.transport.is_closing():
            return
        try:
            events = self.h2.receive_data(data)
        except ProtocolError as error:
            log.debug("an HTTP/2 peer breaks the protocol: %s", error)
            self.broken("malformed")
            self.write()
            self.transport.close()
            return
        for event in events:
            handler = self.HANDLERS.get(type(event))
            if handler is not None:
                handler(self, event)
                if self.transport.is_closing():
                    return
        if self._strain > MOST_STRAIN:
            self.close("flood", ErrorCodes.ENHANCE_YOUR_CALM)
        elif self.transport.get_write_buffer_size() > MOST_UNREAD:
            self.broken("unread")
            self.transport.abort()
        else:
            self.write()

    def pause_writing(self) -> None:
        """The peer reads more slowly than we write: what is sent waits in the streams, which tell their senders."""
        self.congested = True

    def resume_writing(self) -> None:
        """The peer reads again."""
        self.congested = False
        for stream in list(self.streams.values()):
            stream.pump()

    # the library's events

    def on_window(self, event: WindowUpdated) -> None:
        """The peer takes more."""
        self._strain += 1
        if event.stream_id:
            stream = self.streams.get(event.stream_id)
            if stream is not None:
                stream.pump()
        else:
            for each in list(self.streams.values()):
                each.pump()

    def on_settings(self, event: RemoteSettingsChanged) -> None:
        """The peer says what it takes; a larger window lets streams go on."""
        self.settled = True
        self._strain += 1
        for stream in list(self.streams.values()):
            stream.pump()

    def on_strain(self, event: Event) -> None:
        """A frame that carries nothing."""
        self._strain += 1

    def on_data(self, event: DataReceived) -> None:
        """A piece of a body."""
        self._unacked += event.flow_controlled_length
        stream = self.streams.get(event.stream_id)
        if not event.data and event.stream_ended is None:
            self._strain += 1
        if stream is None:
            if self._unacked * 2 >= CONNECTION_WINDOW:
                self.h2.increment_flow_control_window(self._unacked)
                self._unacked = 0
            return
        stream.unacked += event.flow_controlled_length
        if event.data:
            self.take_data(stream, event.data)
        self.acknowledge(stream, ended=event.stream_ended is not None)

    @abstractmethod
    def take_data(self, stream: StreamT, piece: bytes) -> None:
        """Hand a piece of a body to whom it is for."""

    @abstractmethod
    def on_trailers(self, event: TrailersReceived) -> None:
        """The end of a body with something to say."""

    @abstractmethod
    def on_ended(self, event: StreamEnded) -> None:
        """The peer's side of a stream is finished."""

    @abstractmethod
    def on_reset(self, event: StreamReset) -> None:
        """The peer has given a stream up."""

    @abstractmethod
    def on_goaway(self, event: ConnectionTerminated) -> None:
        """The peer takes no further streams."""


HANDLERS: dict[type[Event], Callable[[Any, Any], None]] = {
    DataReceived: lambda connection, event: connection.on_data(event),
    TrailersReceived: lambda connection, event: connection.on_trailers(event),
    StreamEnded: lambda connection, event: connection.on_ended(event),
    StreamReset: lambda connection, event: connection.on_reset(event),
    ConnectionTerminated: lambda connection, event: connection.on_goaway(event),
    WindowUpdated: lambda connection, event: connection.on_window(event),
    RemoteSettingsChanged: lambda connection, event: connection.on_settings(event),
    PingReceived: lambda connection, event: connection.on_strain(event),
    PriorityUpdated: lambda connection, event: connection.on_strain(event),
}
