"""The options that select dead letters, and the progress bars of reading topics."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.progress import TaskID

from schemas.rejection import Reason
from worker.cli.terminal import print_note, progress
from worker.dead_letters.dead_letter import DeadLetterFilter
from worker.kafka.records import UnreadableBatch
from worker.kafka.topic_reader import OnProgress

Reasons = Annotated[
    list[str] | None,
    typer.Option("--reason", help="only dead letters with this reason; repeatable"),
]
Since = Annotated[
    str | None,
    typer.Option(help="only dead letters from this time on: ISO 8601, in UTC without a zone"),
]
Until = Annotated[str | None, typer.Option(help="only dead letters before this time")]
Partition = Annotated[
    int | None, typer.Option(min=0, help="only this partition of the dead-letter topic")
]
Offsets = Annotated[
    str | None,
    typer.Option(
        "--offset",
        metavar="A|A:B",
        help="only offset A of the partition, or offsets A to B, both included",
    ),
]

_SHOW_AFTER_SECONDS = 1.0
"""Shorter reads show no progress bar."""

_OFFSETS = re.compile(r"(\d{1,18})?(:)?(\d{1,18})?", re.ASCII)


def build_filter(
    reasons: list[str] | None,
    since: str | None,
    until: str | None,
    partition: int | None,
    offsets: str | None,
) -> DeadLetterFilter:
    """Raises `typer.BadParameter`."""
    if offsets is not None and partition is None:
        raise typer.BadParameter("an offset needs its partition: add --partition")
    first, last = (0, None) if offsets is None else _parse_offsets(offsets)
    return DeadLetterFilter(
        reasons=frozenset(_parse_reason(name) for name in reasons or ()),
        since=_parse_time(since, "--since"),
        until=_parse_time(until, "--until"),
        partition=partition,
        first=first,
        last=last,
    )


@contextmanager
def progress_bars() -> Iterator[OnProgress]:
    """Yields a callback that shows a bar on stderr for each topic, once reading takes a second."""
    began, bar, tasks = time.monotonic(), progress(), dict[str, TaskID]()
    with ExitStack() as shown:

        def on_progress(topic: str, done: int, total: int) -> None:
            if time.monotonic() - began < _SHOW_AFTER_SECONDS:
                return
            if not tasks:
                shown.enter_context(bar)
            if topic not in tasks:
                tasks[topic] = bar.add_task(f"reading {topic}", speed="")
            bar.update(tasks[topic], completed=done, total=total)

        yield on_progress


class UnreadableReport:
    """Prints a line on stderr for each batch that a command leaves out, once."""

    def __init__(self) -> None:
        self._reported: set[tuple[str, int, int]] = set()

    def __call__(self, batch: UnreadableBatch) -> None:
        position = batch.topic, batch.partition, batch.offset
        if position in self._reported or batch.next_offset is None:
            return
        self._reported.add(position)
        print_note(
            f"qa-worker: {batch.topic} partition {batch.partition}: offsets {batch.offset} to "
            f"{batch.next_offset - 1} cannot be read and are left out: {batch.detail}"
        )


def _parse_reason(name: str) -> Reason:
    try:
        return Reason(name)
    except ValueError:
        raise typer.BadParameter(
            f"{name!r} is not one of {', '.join(Reason)}", param_hint="--reason"
        ) from None


def _parse_time(text: str | None, option: str) -> int | None:
    """Milliseconds since 1970."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
        seconds = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is not an ISO 8601 time, as 2026-03-01T12:30:00+01:00", param_hint=option
        ) from None
    return round(seconds * 1000)


def _parse_offsets(text: str) -> tuple[int, int | None]:
    match = _OFFSETS.fullmatch(text)
    if match is None or match[1] is match[3] is None:
        raise typer.BadParameter(
            f"{text!r} is neither an offset A nor a range A:B", param_hint="--offset"
        )
    first = int(match[1] or 0)
    if match[2] is None:
        return first, first
    last = None if match[3] is None else int(match[3])
    if last is not None and last < first:
        raise typer.BadParameter(f"{text!r} ends before it begins", param_hint="--offset")
    return first, last
