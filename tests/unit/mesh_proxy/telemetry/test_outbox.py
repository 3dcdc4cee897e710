from hypothesis import given
from hypothesis import strategies as st

from mesh_proxy.telemetry.outbox import FULL_BATCH, LARGEST_BATCH, Outbox


@given(st.lists(st.tuples(st.sampled_from(["put", "take", "delivered", "give_up"]), st.integers(1, 40)), max_size=80))
def test_every_item_is_held_exported_or_dropped_and_no_more_is_held_than_fits(steps: list[tuple[str, int]]) -> None:
    outbox = Outbox(limit_bytes=100)
    out: list[bytes] = []
    inside = 0
    for step, size in steps:
        if step == "put":
            before = len(outbox)
            outbox.put(b"x" * size)
            inside += size * (len(outbox) - before)
        elif step == "take" and not out:
            out = outbox.take()
        elif step in ("delivered", "give_up") and out:
            inside -= sum(map(len, out))
            out = []
            outbox.delivered() if step == "delivered" else outbox.give_up("refused")
        assert outbox.created == outbox.exported + outbox.dropped.total() + len(outbox)
        assert inside <= 100


def test_batches_are_bounded_and_a_full_one_is_announced() -> None:
    announced: list[None] = []
    outbox = Outbox(10_000_000, lambda: announced.append(None))
    for _ in range(LARGEST_BATCH + 1):
        outbox.put(b"x")
    assert len(announced) == LARGEST_BATCH // FULL_BATCH
    assert len(outbox.take()) == LARGEST_BATCH
    outbox.delivered()
    assert len(outbox.take()) == 1
