"""`qa-worker dead-letters replay`: dead letters go to the questions topic again, each once."""

import asyncio
from collections import Counter
from typing import Annotated

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
from worker.cli.dead_letters.texts import at, start
from worker.environment import load
from worker.streaming.letters import Skip
from worker.streaming.replay import Replay
from worker.streaming.replay_batch import Fate

_LOST = frozenset({Skip.NO_LETTER, Skip.VALUE_GONE, Skip.TOO_LARGE})
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
        self._counts: Counter[Skip | None] = Counter()
        self._first: dict[Skip | None, str] = {}
        self.letters = Table("At", "Reason", "Attempt", "Bytes", "Goes to")

    @property
    def lost(self) -> bool:
        return any(self._counts[skip] for skip in _LOST)

    def add(self, fate: Fate) -> None:
        letter = fate.letter
        self._counts[fate.skip] += 1
        self._first.setdefault(fate.skip, at(letter))
        if self._dry_run:
            cells = (
                at(letter),
                start(letter.reason, 40),
                str(letter.attempt + 1) if fate.skip is None else "",
                f"{letter.size:,}",
                f"partition {fate.partition}" if fate.skip is None else f"nowhere: {fate.skip}",
            )
            self.letters.add_row(*(Text(cell) for cell in cells))

    def table(self, done: str) -> Table:
        table = Table("Letters", "Number", "First at")
        for skip in (None, *Skip):
            if skip is None or self._counts[skip]:
                name = done if skip is None else f"skipped: {skip}"
                table.add_row(name, str(self._counts[skip]), self._first.get(skip, ""))
        return table
