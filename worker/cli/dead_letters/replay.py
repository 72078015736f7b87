"""`qa-worker dead-letters replay`: publishes the questions of dead letters again, each once."""

import asyncio
from collections import Counter
from typing import Annotated

import typer

from worker.cli.dead_letters.formatting import format_position, truncate
from worker.cli.dead_letters.options import (
    Offsets,
    Partition,
    Reasons,
    Since,
    Until,
    build_filter,
)
from worker.cli.terminal import Table
from worker.cli.topic_reading import UnreadableReport, progress_bars
from worker.dead_letters.dead_letter import SkipReason
from worker.dead_letters.replay import Replay
from worker.dead_letters.transaction import ReplayResult
from worker.settings.environment import load

_PERMANENT = frozenset(
    {
        SkipReason.NOT_A_DEAD_LETTER,
        SkipReason.VALUE_GONE,
        SkipReason.TOO_LARGE,
        SkipReason.OTHER_TOPIC,
        SkipReason.UNREADABLE,
    }
)
"""No later replay with the same settings can send these either."""


def replay(
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    offset: Offsets = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="maximum number of dead letters to replay")
    ] = None,
    max_attempts: Annotated[
        int, typer.Option(min=1, help="skip questions that were replayed this many times")
    ] = 3,
    again: Annotated[
        bool, typer.Option("--again", help="also replay dead letters that were replayed before")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show what would be sent and where; send nothing")
    ] = False,
) -> None:
    """Send dead letters to the questions topic again, with several to that from which each came;
    expired questions only with --reason expired.
    Exits with 1 if some can never be sent.
    """
    settings, wanted = load(), build_filter(reason, since, until, partition, offset)
    replay = Replay(
        settings,
        wanted,
        max_attempts=max_attempts,
        again=again,
        limit=limit,
        on_unreadable=UnreadableReport(),
    )
    summary = _Summary(dry_run, with_topics=len(settings.qa.question_topics) > 1)
    with progress_bars() as on_progress:
        asyncio.run((replay.dry_run if dry_run else replay.run)(summary.add, on_progress))
    if dry_run:
        summary.dead_letters.print()
    summary.table("would be sent" if dry_run else "sent").print()
    if summary.has_permanent_skips:
        raise typer.Exit(1)


class _Summary:
    """Counts results; keeps a row for each dead letter only in a dry run, which shows them."""

    def __init__(self, dry_run: bool, *, with_topics: bool) -> None:
        """`with_topics`: there are several questions topics to name."""
        self._dry_run = dry_run
        self._with_topics = with_topics
        self._counts: Counter[SkipReason | None] = Counter()
        self._first: dict[SkipReason | None, str] = {}
        self.dead_letters = Table("Position", "Reason", "Attempt", "Bytes", "Target")

    @property
    def has_permanent_skips(self) -> bool:
        return any(self._counts[skip] for skip in _PERMANENT)

    def add(self, result: ReplayResult) -> None:
        dead_letter = result.dead_letter
        self._counts[result.skip] += 1
        self._first.setdefault(result.skip, format_position(dead_letter))
        if self._dry_run:
            is_sent, target = result.skip is None, result.target
            sent_to = ""
            if target is not None:
                topic = f"{target.topic} " if self._with_topics else ""
                sent_to = f"{topic}partition {target.partition}"
            cells = (
                format_position(dead_letter),
                truncate(dead_letter.reason, 40),
                str(dead_letter.attempt + 1) if is_sent else "",
                f"{dead_letter.size:,}",
                sent_to or f"skipped: {result.skip}",
            )
            self.dead_letters.add_row(*cells)

    def table(self, sent: str) -> Table:
        table = Table("Dead letters", "Number", "First")
        for skip in (None, *SkipReason):
            if skip is None or self._counts[skip]:
                name = sent if skip is None else f"skipped: {skip}"
                table.add_row(name, str(self._counts[skip]), self._first.get(skip, ""))
        return table
