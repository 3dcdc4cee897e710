from core.clock import SystemClock


async def test_time_passes_while_the_system_clock_sleeps() -> None:
    clock = SystemClock()
    monotonic, wall = clock.monotonic(), clock.now()
    await clock.sleep(0.01)
    assert clock.monotonic() - monotonic >= 0.009
    assert clock.now() > wall
