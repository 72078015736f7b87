"""`qa-worker dead-letters show PARTITION:OFFSET`: everything of one letter, nothing cut."""

import asyncio
import re
from contextlib import aclosing
from typing import Annotated

import typer

from worker.cli.console import out
from worker.cli.dead_letters.texts import moment, plain, shown
from worker.environment import load
from worker.settings import Settings
from worker.streaming.errors import StreamingError
from worker.streaming.letters import Filter, Letter
from worker.streaming.replay import letters

_PLACE = re.compile(r"(\d{1,9}):(\d{1,18})", re.ASCII)


def show(
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
        raise StreamingError(
            f"no letter at {place} of {settings.qa.dead_letters_topic}; `qa-worker dead-letters "
            f"list` shows those that are there"
        )
    for line in _lines(letter):
        out.print(line, soft_wrap=True, markup=False)


async def _find(settings: Settings, partition: int, offset: int) -> Letter | None:
    wanted = Filter(partition=partition, first=offset, last=offset)
    async with aclosing(letters(settings, wanted, lambda *_: None)) as found:
        async for letter in found:
            return letter
    return None


def _lines(letter: Letter) -> list[str]:
    omitted = letter.omitted is not None
    return [
        f"at:        {plain(str(letter.place))}",
        f"time:      {moment(letter.timestamp)}",
        f"reason:    {plain(letter.reason) or '(none)'}",
        f"message:   {plain(letter.message) or '(none)'}",
        f"question:  {plain(str(letter.question)) if letter.question else '(not said)'}",
        f"attempts:  {letter.attempt}",
        f"key:       {shown(letter.key)}",
        "headers:",
        *(f"  {plain(name)}: {shown(text)}" for name, text in letter.headers),
        f"value:     {letter.size:,} bytes{', left out; they lie at the question' * omitted}",
        *([] if omitted else [shown(letter.value)]),
    ]
