"""`meshscope dead-letters`: looks at what could not be read, and sends it again."""

from rich.console import Console
from rich.table import Table

from cli.kafka import reached
from cli.settings import Settings
from collector.dead_letters import dead_letters, replay


async def show(settings: Settings) -> None:
    """Print every dead letter."""
    table = Table("origin", "put aside", "bytes", "reason")
    async for letter in dead_letters(await reached(settings)):
        table.add_row(letter.origin, f"{letter.put_aside:%Y-%m-%d %H:%M:%S}", str(len(letter.value)), letter.reason)
    Console(soft_wrap=True).print(table if table.rows else "no dead letters")


async def send_again(settings: Settings, origins: list[str]) -> None:
    """Send the named letters again, all if none is named, and say which."""
    sent = await replay(await reached(settings), origins)
    Console(soft_wrap=True).print("\n".join([*(f"sent again: {origin}" for origin in sent), f"{len(sent)} sent"]), markup=False)
