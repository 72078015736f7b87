"""What commands that read topics share: progress bars, the report of unreadable batches, times."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import typer
from rich.progress import TaskID

from worker.cli.terminal import print_note, progress
from worker.kafka.records import UnreadableBatch
from worker.kafka.topic_reader import OnProgress

_SHOW_AFTER_SECONDS = 1.0
"""Shorter reads show no progress bar."""


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


def parse_time(text: str | None, option: str) -> int | None:
    """Milliseconds since 1970. Raises `typer.BadParameter`, which names the option."""
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
