"""`qa-worker dead-letters list`: one row for each dead letter, and a count for each reason."""

import asyncio
import json
from collections import Counter
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any

import typer

from worker.cli.dead_letters.formatting import format_time, truncate
from worker.cli.dead_letters.options import (
    Offsets,
    Partition,
    Reasons,
    Since,
    Until,
    build_filter,
)
from worker.cli.terminal import Table, print_line, write_json
from worker.cli.topic_reading import UnreadableReport, progress_bars
from worker.dead_letters.dead_letter import DeadLetter, DeadLetterFilter
from worker.dead_letters.replay import read_dead_letters
from worker.kafka.topic_reader import OnProgress
from worker.settings import Settings
from worker.settings.environment import load

_CELL_CHARACTERS = 50
"""Longer texts are truncated in the table; --json has them whole."""


def list_dead_letters(
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    offset: Offsets = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="maximum number of dead letters to list")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object per line")] = False,
) -> None:
    """List the dead letters in the topic."""
    settings, wanted = load(), build_filter(reason, since, until, partition, offset)
    with progress_bars() as on_progress:
        rows = asyncio.run(_rows(settings, wanted, limit, on_progress))
    if as_json:
        for row in rows:
            write_json(json.dumps(row))
        return
    table = Table("Position", "Time", "Reason", "Question", "Attempts", "Bytes", "Message")
    for row in rows:
        table.add_row(*_cells(row))
    table.print()
    counts = Counter(row["reason"] or "no reason" for row in rows)
    by_reason = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    print_line(f"{len(rows)} dead letters{by_reason and ': '}{by_reason}")


async def _rows(
    settings: Settings, wanted: DeadLetterFilter, limit: int | None, on_progress: OnProgress
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    async with aclosing(
        read_dead_letters(settings, wanted, on_progress, UnreadableReport())
    ) as dead_letters:
        async for dead_letter in dead_letters:
            rows.append(_row(dead_letter))
            if len(rows) == limit:
                break
    return rows


def _row(dead_letter: DeadLetter) -> dict[str, Any]:
    """Without the value: all rows are held in memory."""
    question = dead_letter.question
    return {
        "partition": dead_letter.position.partition,
        "offset": dead_letter.position.offset,
        "time": format_time(dead_letter.timestamp_ms),
        "reason": dead_letter.reason,
        "question": None if question is None else asdict(question),
        "attempts": dead_letter.attempt,
        "bytes": dead_letter.size,
        "message": dead_letter.message,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    question = row["question"]
    position = "-" if question is None else "-".join(map(str, question.values()))
    return [
        f"{row['partition']}:{row['offset']}",
        row["time"],
        truncate(row["reason"], _CELL_CHARACTERS),
        truncate(position, _CELL_CHARACTERS),
        str(row["attempts"]),
        f"{row['bytes']:,}",
        truncate(row["message"], _CELL_CHARACTERS),
    ]
