import asyncio
from hashlib import blake2b
from pathlib import Path

import pytest

from collector.admission import Busy, Limits, Malformed
from collector.bus_local import BLOCK_COPIES, LocalBus
from collector.counts import Counts
from collector.journal import Block, Journal
from core.clock import SystemClock
from storage.telemetry.engine import StoreUnavailable
from tests.fakes.engine import RememberingEngine


async def _bus(engine: RememberingEngine, directory: Path, **limits: int) -> LocalBus:
    bus = LocalBus("traces", engine, directory, SystemClock(), Limits(**limits), Counts())
    await bus.start()
    return bus


async def test_requests_that_come_together_are_one_block(tmp_path: Path) -> None:
    engine = RememberingEngine()
    bus = await _bus(engine, tmp_path)
    await asyncio.gather(*(bus.publish(b"request %d" % n) for n in range(20)))
    assert list(engine.blocks.values()) == [[b"request %d" % n for n in range(20)]]
    await bus.close()


async def test_a_group_makes_no_more_copies_than_memory_allows(tmp_path: Path) -> None:
    engine = RememberingEngine()
    bus = await _bus(engine, tmp_path)
    await asyncio.gather(
        *(bus.publish(b"request %d" % n, BLOCK_COPIES // 2) for n in range(5)), bus.publish(b"more", BLOCK_COPIES * 2)
    )
    assert [len(block) for block in engine.blocks.values()] == [2, 2, 1, 1]
    await bus.close()


async def test_who_waits_too_long_is_told_to_come_again_and_is_stored_once(tmp_path: Path) -> None:
    engine = RememberingEngine()
    engine.open.clear()
    bus = LocalBus("traces", engine, tmp_path, SystemClock(), Limits(), Counts(), answer_s=0.2)
    await bus.start()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="send the very same again"):
            await bus.publish(b"request")
    engine.open.set()
    await bus.close()
    await bus.publish(b"request")
    assert list(engine.blocks.values()) == [[b"request"]]


async def test_nobody_is_answered_before_the_block_is_stored(tmp_path: Path) -> None:
    engine = RememberingEngine()
    engine.open.clear()
    bus = await _bus(engine, tmp_path)
    publishing = asyncio.create_task(bus.publish(b"request"))
    await asyncio.sleep(0.4)
    assert not publishing.done()
    engine.open.set()
    await publishing
    assert engine.blocks
    await bus.close()


async def test_the_same_bytes_again_are_stored_once(tmp_path: Path) -> None:
    engine = RememberingEngine()
    bus = await _bus(engine, tmp_path)
    await asyncio.gather(bus.publish(b"same"), bus.publish(b"same"))
    await bus.publish(b"same")
    assert list(engine.blocks.values()) == [[b"same"]]
    await bus.close()


async def test_a_store_that_is_away_gets_the_same_block_again(tmp_path: Path) -> None:
    engine = RememberingEngine()
    engine.away = 2
    bus = await _bus(engine, tmp_path)
    await bus.publish(b"request")
    assert len(engine.attempts) == 3
    assert len(set(engine.attempts)) == 1
    await bus.close()


async def test_after_a_crash_the_block_in_doubt_is_sent_again_with_its_token(tmp_path: Path) -> None:
    Journal(tmp_path, "traces").write(Block("traces", "token-7", [b"d" * 16], [b"in doubt"]))
    engine = RememberingEngine()
    bus = await _bus(engine, tmp_path)
    assert engine.blocks == {"token-7": [b"in doubt"]}
    await bus.close()


async def test_after_a_crash_the_clients_second_try_is_known(tmp_path: Path) -> None:
    before = RememberingEngine()
    bus = await _bus(before, tmp_path)
    await bus.publish(b"answered or not, who knows")
    await bus.close()
    after = RememberingEngine()
    bus = await _bus(after, tmp_path)
    await bus.publish(b"answered or not, who knows")
    assert after.blocks == before.blocks  # the replayed block, with its old token, and nothing new
    await bus.close()


async def test_one_bad_request_does_not_cost_the_good_ones(tmp_path: Path) -> None:
    engine = RememberingEngine(poison=b"bad")
    bus = await _bus(engine, tmp_path)
    answers = await asyncio.gather(*(bus.publish(each) for each in (b"good", b"bad", b"fine")), return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None), Malformed, type(None)]
    assert sorted(engine.blocks.values()) == sorted([[b"good"], [b"fine"]])
    await bus.close()


async def test_more_than_memory_allows_is_refused_and_may_come_again(tmp_path: Path) -> None:
    engine = RememberingEngine()
    engine.open.clear()
    bus = await _bus(engine, tmp_path, in_flight_bytes=10)
    first = asyncio.create_task(bus.publish(b"12345678"))
    await asyncio.sleep(0)
    with pytest.raises(Busy, match="8 bytes of traces wait"):
        await bus.publish(b"abc")
    engine.open.set()
    await first
    await bus.publish(b"abc")
    assert len(engine.blocks) == 2
    await bus.close()


async def test_closing_stores_what_waits(tmp_path: Path) -> None:
    engine = RememberingEngine()
    bus = await _bus(engine, tmp_path)
    publishing = asyncio.create_task(bus.publish(b"late"))
    await asyncio.sleep(0)
    await bus.close()
    await publishing
    assert list(engine.blocks.values()) == [[b"late"]]


async def test_a_bad_request_among_many_costs_few_inserts(tmp_path: Path) -> None:
    engine = RememberingEngine(poison=b"bad")
    bus = await _bus(engine, tmp_path)
    requests = [b"bad" if n == 700 else b"request %d" % n for n in range(1000)]
    answers = await asyncio.gather(*(bus.publish(each) for each in requests), return_exceptions=True)
    assert [n for n, answer in enumerate(answers) if answer] == [700]
    assert len(engine.attempts) < 25  # each costs what planning an insert costs
    await bus.close()


async def test_a_refused_request_is_refused_again_after_a_restart(tmp_path: Path) -> None:
    Journal(tmp_path, "traces").write(Block("traces", "token", [blake2b(b"bad", digest_size=16).digest()], [b"bad"]))
    bus = await _bus(RememberingEngine(poison=b"bad"), tmp_path)
    with pytest.raises(Malformed):
        await bus.publish(b"bad")
    await bus.close()


async def test_a_request_before_the_block_in_doubt_is_known_too(tmp_path: Path) -> None:
    before = RememberingEngine()
    bus = await _bus(before, tmp_path)
    await bus.publish(b"stored, but its answer was lost")
    await bus.publish(b"in doubt")
    await bus.close()
    after = RememberingEngine()
    for _ in range(2):
        bus = await _bus(after, tmp_path)
        await bus.publish(b"stored, but its answer was lost")
        await bus.close()
    assert list(after.blocks.values()) == [[b"in doubt"]]


async def test_a_full_disk_holds_up_and_loses_nothing(tmp_path: Path) -> None:
    engine = RememberingEngine()
    bus = await _bus(engine, tmp_path)
    obstacle = tmp_path / "traces.block.next"  # where the journal writes: an OSError, as a full disk raises
    obstacle.mkdir()
    publishing = asyncio.create_task(bus.publish(b"request"))
    await asyncio.sleep(0.5)
    assert not publishing.done()
    obstacle.rmdir()
    await asyncio.wait_for(publishing, 10)
    assert list(engine.blocks.values()) == [[b"request"]]
    await bus.close()


async def test_closing_while_the_store_is_away_ends_and_the_block_goes_again_at_the_next_start(tmp_path: Path) -> None:
    away = RememberingEngine()
    away.away = 1_000_000
    bus = await _bus(away, tmp_path)
    first = asyncio.create_task(bus.publish(b"first"))
    for _ in range(1000):
        await asyncio.sleep(0 if away.attempts else 0.01)
    second = asyncio.create_task(bus.publish(b"second"))
    await asyncio.sleep(0)
    await asyncio.wait_for(bus.close(), 10)
    answers = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable, StoreUnavailable]
    back = RememberingEngine()
    bus = await _bus(back, tmp_path)
    assert back.blocks == {away.attempts[0]: [b"first"]}
    await bus.close()


async def test_a_torn_journal_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "traces.block").write_bytes(b"\x84\xa6sig")
    bus = await _bus(RememberingEngine(), tmp_path)
    await bus.publish(b"request")
    await bus.close()
    assert (tmp_path / "traces.unreadable").read_bytes() == b"\x84\xa6sig"
