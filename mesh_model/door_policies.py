"""What a virtual node's tags say about how much it takes: adaptive concurrency and admission control of its ingress."""

from collections.abc import Mapping
from dataclasses import dataclass

from mesh_model.tag_words import TagProblem, Words, duration_s, percent, positive, whole

CONCURRENCY, ADMISSION = "adaptive-concurrency", "admission-control"


@dataclass(frozen=True, slots=True)
class AdaptiveConcurrency:
    """How many requests at a time, found by their latency (Envoy's gradient controller and its defaults). Seconds.

    The limit is set anew each ``update_s``; each ``measure_s`` the best latency is measured with ``least`` requests at a time.
    """

    update_s: float = 0.1
    measure_s: float = 60.0
    measure_requests: int = 50
    buffer: float = 0.25
    least: int = 3
    most: int = 1000


@dataclass(frozen=True, slots=True)
class AdmissionControl:
    """Which share is refused when successes become few (Envoy's filter and its defaults); ``threshold`` is a share, 0..1."""

    window_s: float = 30.0
    threshold: float = 0.95
    aggression: float = 1.0
    least_rps: float = 0.0
    most_refused: float = 0.8


def concurrency_of(tags: Mapping[str, str]) -> AdaptiveConcurrency | None:
    """Return what the tag ``adaptive-concurrency`` asks for. Raises TagProblem."""
    if CONCURRENCY not in tags:
        return None
    words = Words(
        tags[CONCURRENCY], "`on`, with `update=100ms measure=60s requests=50 buffer=25 least=3 most=1000` to change these"
    )
    words.word({"on": True}.__getitem__)
    found = AdaptiveConcurrency(
        update_s=words.named("update", duration_s, 0.1),
        measure_s=words.named("measure", duration_s, 60.0),
        measure_requests=words.named("requests", whole(1, 100_000), 50),
        buffer=words.named("buffer", percent, 25.0) / 100,
        least=words.named("least", whole(1, 100_000), 3),
        most=words.named("most", whole(1, 100_000), 1000),
    )
    words.done()
    if not 0 < found.update_s < found.measure_s or found.least > found.most:
        raise TagProblem(f"got `{tags[CONCURRENCY]}`", "`update` above 0 and below `measure`, `least` not above `most`")
    return found


def admission_of(tags: Mapping[str, str]) -> AdmissionControl | None:
    """Return what the tag ``admission-control`` asks for. Raises TagProblem."""
    if ADMISSION not in tags:
        return None
    words = Words(tags[ADMISSION], "`on`, with `window=30s threshold=95 aggression=1 least-rps=0 most=80` to change these")
    words.word({"on": True}.__getitem__)
    found = AdmissionControl(
        window_s=words.named("window", duration_s, 30.0),
        threshold=words.named("threshold", percent, 95.0) / 100,
        aggression=words.named("aggression", positive, 1.0),
        least_rps=words.named("least-rps", positive, 0.0),
        most_refused=words.named("most", percent, 80.0) / 100,
    )
    words.done()
    if found.window_s < 1 or not found.threshold:
        raise TagProblem(f"got `{tags[ADMISSION]}`", "a window of 1 s or more and a threshold above 0")
    return found
