"""Never two interpretations of one request: a corpus of tricks, put to real Envoy, real nginx and ours.

All are asked once, when the first test begins; the tests judge what came of it.
"""

import re
import socket
from dataclasses import dataclass

import pytest

from tests.fakes.fronts import OURS, fronts
from tests.fakes.raw_backend import Message, RawBackend, raw_backend
from tests.fakes.tricks import PLAIN, TRICKS, raw

AFTER = b"GET /after HTTP/1.1\r\nHost: api.local\r\nConnection: close\r\n\r\n"
PATIENCE_S = 5.0


@dataclass(frozen=True)
class Outcome:
    """What a proxy made of one trick: the statuses it answered with, and what the backend got."""

    statuses: tuple[int, ...]
    messages: tuple[Message, ...]
    doubts: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether the trick itself got no success."""
        return not self.statuses or self.statuses[0] != 200


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Outcome]]:
    """What became of each trick, by proxy and name."""
    with raw_backend() as backend, fronts(tmp_path_factory.mktemp("proxies"), backend.port) as ports:
        return {
            who: {name: put(port, raw(trick), backend) for name, trick in (PLAIN | TRICKS).items()} for who, port in ports.items()
        }


@pytest.mark.parametrize("side", OURS)
@pytest.mark.parametrize("name", PLAIN)
def test_what_there_is_nothing_to_say_against_is_one_request(
    outcomes: dict[str, dict[str, Outcome]], name: str, side: str
) -> None:
    found = outcomes[side][name]
    assert (found.statuses, found.doubts) == ((200, 200), ())
    assert [message.line.split(b" ")[1] == b"/after" for message in found.messages] == [False, True]


@pytest.mark.parametrize("side", OURS)
@pytest.mark.parametrize("name", TRICKS)
def test_a_trick_is_one_request_or_none(outcomes: dict[str, dict[str, Outcome]], name: str, side: str) -> None:
    found = outcomes[side][name]
    assert not found.doubts, "the backend must get nothing that could be read in two ways"
    assert len(found.messages) == sum(status == 200 for status in found.statuses)
    assert not any(b"evil" in message.line for message in found.messages)
    if found.refused and found.statuses != (404, 200):  # no route: the request was whole, and so is the next one
        assert not found.messages, "nothing after a refused request may be taken for a request"


@pytest.mark.parametrize("side", OURS)
@pytest.mark.parametrize("name", TRICKS)
def test_where_envoy_or_nginx_refuses_ours_refuses(outcomes: dict[str, dict[str, Outcome]], name: str, side: str) -> None:
    others = [who for who in ("envoy", "nginx") if outcomes[who][name].refused]
    if others:
        assert outcomes[side][name].refused, f"{others} refuse it, ours answered {outcomes[side][name]}"


def test_the_others_are_asked_for_real(outcomes: dict[str, dict[str, Outcome]]) -> None:
    for who in ("envoy", "nginx"):
        assert outcomes[who]["get"].statuses == (200, 200)
        assert sum(outcomes[who][name].refused for name in TRICKS) > len(TRICKS) / 2


def put(port: int, trick: bytes, backend: RawBackend) -> Outcome:
    """Send a trick, and a good request that ends the connection after it; return what came of both."""
    backend.forget()
    received = b""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(PATIENCE_S)
        try:
            client.sendall(trick + AFTER)
            while data := client.recv(65536):
                received += data
        except (ConnectionError, TimeoutError):
            pass
    statuses = tuple(map(int, re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)))
    return Outcome(statuses, tuple(backend.messages), tuple(backend.doubts))
