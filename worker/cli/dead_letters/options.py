"""Options that say which letters are meant, and what is shown while topics are read."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.progress import TaskID

from schemas.rejection import Reason
from worker.cli.terminal import progress
from worker.dead_letters.dead_letter import DeadLetterFilter
from worker.kafka.topic_reader import Watch

Reasons = Annotated[
    list[str] | None,
    typer.Option("--reason", help="only those with this reason; may be given several times"),
]
Since = Annotated[
    str | None,
    typer.Option(help="only those from this time on: ISO 8601, without a zone in UTC"),
]
Until = Annotated[str | None, typer.Option(help="only those before this time")]
Partition = Annotated[
    int | None, typer.Option(min=0, help="only this partition of the dead-letter topic")
]
Offsets = Annotated[
    str | None,
    typer.Option(
        "--offset",
        metavar="A|A:B",
        help="only this offset of the partition, or those from A to B, both included",
    ),
]

_LONG_SECONDS = 1.0
"""Who waits for longer wants to see that something moves."""

_OFFSETS = re.compile(r"(\d{1,18})?(:)?(\d{1,18})?", re.ASCII)


def chosen(
    reasons: list[str] | None,
    since: str | None,
    until: str | None,
    partition: int | None,
    offsets: str | None,
) -> DeadLetterFilter:
    """The letters that the options mean. Raises `typer.BadParameter`."""
    if offsets is not None and partition is None:
        raise typer.BadParameter("an offset is one of a partition: give --partition, too")
    first, last = (0, None) if offsets is None else _range(offsets)
    return DeadLetterFilter(
        reasons=frozenset(_reason(name) for name in reasons or ()),
        since=_time(since, "--since"),
        until=_time(until, "--until"),
        partition=partition,
        first=first,
        last=last,
    )


@contextmanager
def watched() -> Iterator[Watch]:
    """A bar on stderr for every topic that is read, once that takes its time."""
    began, bar, tasks = time.monotonic(), progress(), dict[str, TaskID]()
    with ExitStack() as shown:

        def watch(topic: str, done: int, total: int) -> None:
            if time.monotonic() - began < _LONG_SECONDS:
                return
            if not tasks:
                shown.enter_context(bar)
            if topic not in tasks:
                tasks[topic] = bar.add_task(f"reading {topic}", speed="")
            bar.update(tasks[topic], completed=done, total=total)

        yield watch


def _reason(name: str) -> Reason:
    try:
        return Reason(name)
    except ValueError:
        raise typer.BadParameter(
            f"{name!r} is none of {', '.join(Reason)}", param_hint="--reason"
        ) from None


def _time(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        said = datetime.fromisoformat(text)
        stamp = (said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no ISO 8601 time (2026-03-01T12:30:00+01:00)", param_hint=option
        ) from None
    return round(stamp * 1000)


def _range(text: str) -> tuple[int, int | None]:
    match = _OFFSETS.fullmatch(text)
    if match is None or match[1] is match[3] is None:
        raise typer.BadParameter(f"{text!r} is no offset A and no range A:B", param_hint="--offset")
    first = int(match[1] or 0)
    if match[2] is None:
        return first, first
    last = None if match[3] is None else int(match[3])
    if last is not None and last < first:
        raise typer.BadParameter(f"{text!r} ends before it begins", param_hint="--offset")
    return first, last
