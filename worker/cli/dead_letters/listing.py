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

from worker.cli.console import out
from worker.cli.dead_letters.options import (
    Offsets,
    Partition,
    Reasons,
    Since,
    Until,
    chosen,
    watched,
)
from worker.cli.dead_letters.texts import moment, start
from worker.environment import load
from worker.settings import Settings
from worker.streaming.letters import Filter, Letter
from worker.streaming.replay import letters
from worker.streaming.scan import Watch

_MESSAGE = 50
"""Characters of a message that the table shows; --json has all."""


def show(
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
    settings: Settings, wanted: Filter, limit: int | None, watch: Watch
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    async with aclosing(letters(settings, wanted, watch)) as found:
        async for letter in found:
            rows.append(_row(letter))
            if len(rows) == limit:
                break
    return rows


def _row(letter: Letter) -> dict[str, Any]:
    """A letter without its bytes: there may be many, and each may be large."""
    return {
        "partition": letter.place.partition,
        "offset": letter.place.offset,
        "time": moment(letter.timestamp),
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
        start(row["reason"], _MESSAGE),
        "-" if question is None else start("-".join(map(str, question.values())), _MESSAGE),
        str(row["attempts"]),
        f"{row['bytes']:,}",
        start(row["message"], _MESSAGE),
    ]
