"""`qa-worker dead-letters replay`: dead letters go to the questions topic again, each once."""

import asyncio
from collections import Counter
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from worker.cli.dead_letters.formatting import format_position, truncate
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
from worker.dead_letters.dead_letter import SkipReason
from worker.dead_letters.replay import Replay
from worker.dead_letters.transaction import ReplayResult
from worker.settings.environment import load

_LOST = frozenset({SkipReason.NO_LETTER, SkipReason.VALUE_GONE, SkipReason.TOO_LARGE})
"""What no replay will ever send."""


def replay(
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    offset: Offsets = None,
    limit: Annotated[int | None, typer.Option(min=1, help="send at most so many")] = None,
    max_attempts: Annotated[
        int, typer.Option(min=1, help="leave alone what was sent again so often")
    ] = 3,
    again: Annotated[
        bool, typer.Option("--again", help="send also what was replayed before")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be sent, and where to; send nothing")
    ] = False,
) -> None:
    """Send dead letters to the questions topic again. Exits 1 where some can never be sent."""
    settings, wanted = load(), chosen(reason, since, until, partition, offset)
    replay = Replay(settings, wanted, max_attempts=max_attempts, again=again, limit=limit)
    outcome = _Outcome(dry_run)
    with watched() as watch:
        asyncio.run((replay.rehearse if dry_run else replay.send)(outcome.add, watch))
    if dry_run:
        out.print(outcome.letters)
    out.print(outcome.table("would be sent" if dry_run else "sent"))
    if outcome.lost:
        raise typer.Exit(1)


class _Outcome:
    """What became of the letters. Each by itself only where that is shown: there may be many."""

    def __init__(self, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._counts: Counter[SkipReason | None] = Counter()
        self._first: dict[SkipReason | None, str] = {}
        self.letters = Table("At", "Reason", "Attempt", "Bytes", "Goes to")

    @property
    def lost(self) -> bool:
        return any(self._counts[skip] for skip in _LOST)

    def add(self, fate: ReplayResult) -> None:
        letter = fate.dead_letter
        self._counts[fate.skip] += 1
        self._first.setdefault(fate.skip, format_position(letter))
        if self._dry_run:
            cells = (
                format_position(letter),
                truncate(letter.reason, 40),
                str(letter.attempt + 1) if fate.skip is None else "",
                f"{letter.size:,}",
                f"partition {fate.partition}" if fate.skip is None else f"nowhere: {fate.skip}",
            )
            self.letters.add_row(*(Text(cell) for cell in cells))

    def table(self, done: str) -> Table:
        table = Table("Letters", "Number", "First at")
        for skip in (None, *SkipReason):
            if skip is None or self._counts[skip]:
                name = done if skip is None else f"skipped: {skip}"
                table.add_row(name, str(self._counts[skip]), self._first.get(skip, ""))
        return table
