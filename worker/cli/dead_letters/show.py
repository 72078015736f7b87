"""`qa-worker dead-letters show PARTITION:OFFSET`: one dead letter with all its fields."""

import asyncio
import re
from contextlib import aclosing
from typing import Annotated

import typer

from worker.cli.dead_letters.formatting import format_bytes, format_time
from worker.cli.dead_letters.framed_value import FramedValue, describe_value
from worker.cli.errors import CommandError
from worker.cli.terminal import print_line, print_lines
from worker.cli.topic_reading import UnreadableReport
from worker.dead_letters.dead_letter import DeadLetter, DeadLetterFilter
from worker.dead_letters.replay import read_dead_letters
from worker.settings import Settings
from worker.settings.environment import load

_POSITION = re.compile(r"(\d{1,9}):(\d{1,18})", re.ASCII)


def show_dead_letter(
    position: Annotated[
        str,
        typer.Argument(metavar="PARTITION:OFFSET", help="as `dead-letters list` prints it"),
    ],
) -> None:
    """Show one dead letter with all its fields. Bytes that are not UTF-8 are shown in base64, and
    values with a registered schema as JSON, if SCHEMA_REGISTRY_URL is set.
    """
    settings, match = load(), _POSITION.fullmatch(position)
    if match is None:
        raise typer.BadParameter(f"{position!r} is not PARTITION:OFFSET, as 3:1207")
    found = asyncio.run(_find(settings, int(match[1]), int(match[2])))
    if found is None:
        raise CommandError(
            f"no dead letter at {position} of {settings.qa.dead_letters_topic}; "
            f"`qa-worker dead-letters list` shows the existing ones"
        )
    dead_letter, framed = found
    for line in _fields(dead_letter, framed):
        print_line(line)
    if framed is not None and framed.document is not None:
        print_lines(framed.document)
    elif dead_letter.omitted_bytes is None:
        print_lines(format_bytes(dead_letter.value, controls=framed is None))


async def _find(
    settings: Settings, partition: int, offset: int
) -> tuple[DeadLetter, FramedValue | None] | None:
    wanted = DeadLetterFilter(partition=partition, first=offset, last=offset)
    async with aclosing(
        read_dead_letters(settings, wanted, lambda *_: None, UnreadableReport())
    ) as dead_letters:
        async for dead_letter in dead_letters:
            return dead_letter, await describe_value(settings, dead_letter)
    return None


def _fields(dead_letter: DeadLetter, framed: FramedValue | None) -> list[str]:
    question, is_omitted = dead_letter.question, dead_letter.omitted_bytes is not None
    return [
        f"position:  {dead_letter.position}",
        f"time:      {format_time(dead_letter.timestamp_ms)}",
        f"reason:    {dead_letter.reason or '(none)'}",
        f"message:   {dead_letter.message or '(none)'}",
        f"question:  {question or '(unknown)'}",
        f"attempts:  {dead_letter.attempt}",
        f"key:       {format_bytes(dead_letter.key)}",
        "headers:",
        *(f"  {name}: {format_bytes(text)}" for name, text in dead_letter.headers),
        *([] if framed is None else [f"schema:    {framed.schema}"]),
        f"value:     {dead_letter.size:,} bytes{', omitted; see the question' * is_omitted}",
    ]
