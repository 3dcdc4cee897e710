"""The load of a benchmark: rounds of OTLP requests, cheap enough to be had by the million."""

from collections.abc import Iterator
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.mesh_spans import SPANS_PER_REQUEST, USER_DIGITS, requests

SEED = 20_261_101
HOUR_NS = 3600 * 10**9
ROUND_NS = 10 * 10**9

Numbers = NDArray[np.int64]

_PLACES = ("trace_id", "span_id", "parent_id", "start", "end", "user", "server", "client")
_NOWHERE = -1


class Load:
    """Requests that are made once and written anew for each round, where ids, times, users and addresses stand in their bytes.

    Each round has others of these, other durations, and its traces start in another order, so that rounds are no easier to
    store than spans that were made one by one. Only names, routes, errors and who calls whom stay.
    """

    def __init__(self, count: int, *, start_ns: int, round_ns: int = ROUND_NS) -> None:
        """Make ``count`` requests a round; the first trace starts at ``start_ns``, and a round's traces within ``round_ns``."""
        bodies = list(requests(count, seed=SEED, start_ns=start_ns))
        self.spans = count * SPANS_PER_REQUEST
        self._start_ns, self._round_ns = start_ns, round_ns
        self._cuts = list(accumulate(map(len, bodies), initial=0))
        self._made = np.frombuffer(b"".join(bodies), np.uint8)
        found = [places for body, begins in zip(bodies, self._cuts, strict=False) for places in _find(body, begins)]
        self._at = {name: np.array(each) for name, each in zip(_PLACES, zip(*found, strict=True), strict=True)}
        ids = self._made[_bytes(self._at["trace_id"], 16)].view("V16").ravel()
        _, self._trace = np.unique(ids, return_inverse=True)
        self._traces = int(self._trace.max()) + 1
        starts, ends = (self._made[_bytes(self._at[each], 8)].view("<i8").ravel() for each in ("start", "end"))
        begins = np.full(self._traces, starts.max())
        np.minimum.at(begins, self._trace, starts)
        self._offset, self._duration = starts - begins[self._trace], ends - starts

    def round(self, number: int) -> list[bytes]:
        """Return the requests of a round: the same for the same number; each round follows the one before in time."""
        rng = np.random.default_rng((SEED, number))
        made = self._made.copy()
        made[_bytes(self._at["trace_id"], 16)] ^= np.frombuffer(rng.bytes(16), np.uint8)
        # One mask for both, so that what belonged together still does.
        mask = np.frombuffer(rng.bytes(8), np.uint8)
        for each in ("span_id", "parent_id"):
            made[_bytes(self._at[each], 8)] ^= mask
        begins = self._start_ns + number * self._round_ns + rng.permutation(self._traces) * (self._round_ns // self._traces)
        stretched = rng.uniform(0.5, 2, self._traces)[self._trace]
        starts = begins[self._trace] + (self._offset * stretched).astype(np.int64)
        ends = starts + (self._duration * stretched * rng.uniform(0.9, 1, len(starts))).astype(np.int64)
        for name, times in (("start", starts), ("end", ends)):
            made[_bytes(self._at[name], 8)] = times.astype("<i8").view(np.uint8).reshape(-1, 8)
        self._write_digits(made, "user", rng.integers(10**USER_DIGITS, size=self._traces)[self._trace], USER_DIGITS)
        self._write_digits(made, "server", rng.integers(10, size=len(starts)), 1)
        self._write_digits(made, "client", rng.integers(100, size=len(starts)), 2)
        return [made[begin:end].tobytes() for begin, end in pairwise(self._cuts)]

    def _write_digits(self, made: NDArray[np.uint8], name: str, numbers: Numbers, width: int) -> None:
        at = self._at[name]
        there = at != _NOWHERE
        powers = 10 ** np.arange(width - 1, -1, -1)
        made[_bytes(at, width)] = (numbers[there, None] // powers % 10 + ord("0")).astype(np.uint8)


def _bytes(at: Numbers, size: int) -> Numbers:
    """Return the indexes of all bytes that begin at ``at``."""
    return at[at != _NOWHERE, None] + np.arange(size)


def _find(body: bytes, begins: int) -> Iterator[list[int]]:
    """Yield where each span's parts stand; protobuf writes fields in the order of their numbers."""
    at = 0
    for span in ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans:
        ends = {pair.key: pair.value.string_value.encode() for pair in span.attributes}
        times = (each.to_bytes(8, "little") for each in (span.start_time_unix_nano, span.end_time_unix_nano))
        places = []
        for part in (span.trace_id, span.span_id, span.parent_span_id, *times):
            at = body.index(part, at)
            places.append(begins + at if part else _NOWHERE)
        for key, digits in (("url.path", USER_DIGITS), ("server.address", 1), ("client.address", 2)):
            if key in ends:
                at = body.index(ends[key], body.index(key.encode(), at))
            places.append(begins + at + len(ends[key]) - digits if key in ends else _NOWHERE)
        yield places
