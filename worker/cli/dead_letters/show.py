"""`qa-worker dead-letters show PARTITION:OFFSET`: everything of one letter, nothing cut."""

import asyncio
import re
from contextlib import aclosing
from typing import Annotated

import typer

from worker.cli.dead_letters.formatting import escape, format_bytes, format_time
from worker.cli.errors import CommandError
from worker.cli.terminal import out
from worker.dead_letters.dead_letter import DeadLetter, DeadLetterFilter
from worker.dead_letters.replay import read_dead_letters
from worker.settings import Settings
from worker.settings.environment import load

_PLACE = re.compile(r"(\d{1,9}):(\d{1,18})", re.ASCII)


def show_dead_letter(
    place: Annotated[
        str, typer.Argument(metavar="PARTITION:OFFSET", help="as `dead-letters list` has it")
    ],
) -> None:
    """Show one dead letter whole. Bytes that are no text are shown in base64."""
    settings, match = load(), _PLACE.fullmatch(place)
    if match is None:
        raise typer.BadParameter(f"{place!r} is no PARTITION:OFFSET, like 3:1207")
    letter = asyncio.run(_find(settings, int(match[1]), int(match[2])))
    if letter is None:
        raise CommandError(
            f"no letter at {place} of {settings.qa.dead_letters_topic}; `qa-worker dead-letters "
            f"list` shows those that are there"
        )
    for line in _lines(letter):
        out.print(line, soft_wrap=True, markup=False)


async def _find(settings: Settings, partition: int, offset: int) -> DeadLetter | None:
    wanted = DeadLetterFilter(partition=partition, first=offset, last=offset)
    async with aclosing(read_dead_letters(settings, wanted, lambda *_: None)) as found:
        async for letter in found:
            return letter
    return None


def _lines(letter: DeadLetter) -> list[str]:
    omitted = letter.omitted is not None
    return [
        f"at:        {escape(str(letter.place))}",
        f"time:      {format_time(letter.timestamp)}",
        f"reason:    {escape(letter.reason) or '(none)'}",
        f"message:   {escape(letter.message) or '(none)'}",
        f"question:  {escape(str(letter.question)) if letter.question else '(not said)'}",
        f"attempts:  {letter.attempt}",
        f"key:       {format_bytes(letter.key)}",
        "headers:",
        *(f"  {escape(name)}: {format_bytes(text)}" for name, text in letter.headers),
        f"value:     {letter.size:,} bytes{', left out; they lie at the question' * omitted}",
        *([] if omitted else [format_bytes(letter.value)]),
    ]
