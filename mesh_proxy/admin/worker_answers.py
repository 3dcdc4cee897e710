"""What workers say on their admin pages, and what that is together."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

ANSWER_S = 5.0
_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?(?P<rest> .*)")


@dataclass(frozen=True, slots=True)
class Answer:
    """An admin page."""

    status: int
    content_type: str
    body: bytes

    def encoded(self) -> bytes:
        """Return it as a whole HTTP/1.1 response, after which the connection closes."""
        head = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\ncontent-type: {self.content_type}\r\n"
            f"content-length: {len(self.body)}\r\nconnection: close\r\n\r\n"
        )
        return head.encode() + self.body


async def ask(admin: Path, wanted: bytes) -> Answer | None:
    """Return what the worker whose admin page is at the socket ``admin`` says to ``GET /page``; None when it says nothing."""
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(str(admin))
            try:
                writer.write(wanted + b" HTTP/1.1\r\nhost: worker\r\n\r\n")
                head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    found = re.match(rb"HTTP/1.1 (\d{3}).*?\r\ncontent-type: ([^\r]+)", head, re.S | re.I)
    return Answer(int(found[1]), found[2].decode(), body) if found else None


def together(answers: Mapping[int, Answer | None]) -> Answer:
    """Return one page of those of all workers, by index: metrics with a label ``worker``, everything else as JSON by worker.

    Its status is the worst one; a worker that did not answer counts as 503, and no worker at all as 404.
    """
    if not answers:
        return _json(404, {"error": "there is no such worker"})
    pages = {index: answer for index, answer in answers.items() if answer is not None}
    status = max(503 if answer is None else answer.status for answer in answers.values())
    if pages and all(page.content_type.startswith("text/plain") for page in pages.values()):
        content_type = next(iter(pages.values())).content_type
        return Answer(status, content_type, _labelled({index: page.body.decode() for index, page in pages.items()}).encode())
    by_worker = {str(index): json.loads(pages[index].body) if index in pages else None for index in answers}
    return _json(status, {"workers": by_worker})


def _json(status: int, content: object) -> Answer:
    return Answer(status, "application/json", json.dumps(content, indent=2).encode() + b"\n")


def _labelled(texts: Mapping[int, str]) -> str:
    """Return Prometheus' text with the samples of all workers, those of one metric beside each other."""
    families: dict[str, list[str]] = {}
    for index, text in texts.items():
        family: list[str] = []
        for line in text.splitlines():
            if line.startswith("#"):
                _, kind, name, *_ = line.split(" ", 3)
                family = families.setdefault(name, [])
                if not any(known.startswith(f"# {kind} ") for known in family):
                    family.append(line)
            elif sample := _SAMPLE.fullmatch(line):
                labels = ",".join(filter(None, (f'worker="{index}"', sample["labels"])))
                family.append(f"{sample['name']}{{{labels}}}{sample['rest']}")
    return "".join(f"{line}\n" for family in families.values() for line in family)
