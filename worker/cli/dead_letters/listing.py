"""`qa-worker dead-letters list`: one row a letter, and how many there are for each reason."""

import asyncio
import json
from collections import Counter
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from worker.cli.dead_letters.formatting import format_time, truncate
from worker.cli.dead_letters.options import (
    Offsets,
    Partition,
    Reasons,
    Since,
    Until,
    chosen,
    watched,
)
from worker.cli.terminal import out
from worker.dead_letters.dead_letter import DeadLetter, DeadLetterFilter
from worker.dead_letters.replay import read_dead_letters
from worker.kafka.topic_reader import Watch
from worker.settings import Settings
from worker.settings.environment import load

_MESSAGE = 50
"""Characters of a message that the table shows; --json has all."""


def list_dead_letters(
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    offset: Offsets = None,
    limit: Annotated[int | None, typer.Option(min=1, help="at most so many")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object a line")] = False,
) -> None:
    """List the dead letters that are there now."""
    settings, wanted = load(), chosen(reason, since, until, partition, offset)
    with watched() as watch:
        rows = asyncio.run(_rows(settings, wanted, limit, watch))
    if as_json:
        for row in rows:
            out.print(json.dumps(row), soft_wrap=True, markup=False)
        return
    table = Table("At", "Time", "Reason", "Question", "Attempts", "Bytes", "Message")
    for row in rows:
        table.add_row(*(Text(cell) for cell in _cells(row)))
    out.print(table)
    counts = Counter(row["reason"] or "no reason" for row in rows)
    said = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    out.print(f"{len(rows)} dead letters{said and ': '}{said}", markup=False)


async def _rows(
    settings: Settings, wanted: DeadLetterFilter, limit: int | None, watch: Watch
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    async with aclosing(read_dead_letters(settings, wanted, watch)) as found:
        async for letter in found:
            rows.append(_row(letter))
            if len(rows) == limit:
                break
    return rows


def _row(letter: DeadLetter) -> dict[str, Any]:
    """A letter without its bytes: there may be many, and each may be large."""
    return {
        "partition": letter.place.partition,
        "offset": letter.place.offset,
        "time": format_time(letter.timestamp),
        "reason": letter.reason,
        "question": None if letter.question is None else asdict(letter.question),
        "attempts": letter.attempt,
        "bytes": letter.size,
        "message": letter.message,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    question = row["question"]
    return [
        f"{row['partition']}:{row['offset']}",
        row["time"],
        truncate(row["reason"], _MESSAGE),
        "-" if question is None else truncate("-".join(map(str, question.values())), _MESSAGE),
        str(row["attempts"]),
        f"{row['bytes']:,}",
        truncate(row["message"], _MESSAGE),
    ]
