"""`qa-worker read`: reads a file of events and writes a file of their outcomes, without Kafka.

The output has one line for each input line, in the same order: an answer, an embedding, or the
reason and detail of a rejection. An interrupted run resumes after the last complete output line.
"""

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from schemas.envelope import decode_event
from schemas.event import Event, Outcome
from schemas.question import Question
from schemas.rejection import Rejected
from worker.cli.terminal import err, progress
from worker.inference.engine import InferenceEngine
from worker.inference.ordered import map_ordered
from worker.models.store import ModelStore
from worker.settings.environment import load

_LINE_START = b'{"id":'
"""The first bytes of every output line."""


def read(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="JSON Lines: one event on each line."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The output file. Default: FILE with the suffix .answers.jsonl or "
            ".embeddings.jsonl."
        ),
    ] = None,
) -> None:
    """Answer a file of questions, or embed a file of texts, without Kafka. A second run resumes an
    interrupted one.
    """
    settings = load()
    engine = InferenceEngine(
        ModelStore(settings.qa.models).open(settings.qa.model), settings.qa.inference
    )
    event_type = engine.event_type
    suffix = ".answers.jsonl" if event_type is Question else ".embeddings.jsonl"
    target = out or file.with_suffix(suffix)
    if target.resolve() == file.resolve():
        raise typer.BadParameter(f"{target} is the input", param_hint="--out")
    events = _Events(event_type, file, settings.qa.max_record_bytes)
    done, length = _complete_lines(target)
    _check_same_input(target, done, events)
    rejected = 0
    with (
        engine,
        target.open("ab") as output,
        progress() as bar,
    ):
        output.truncate(length)
        started = time.perf_counter()
        task = bar.add_task("reading", total=len(events), completed=done, speed="")
        for count, outcome in enumerate(map_ordered(engine, events.after(done)), start=1):
            output.write(_line(outcome, events.event_id(done + count - 1)))
            rejected += isinstance(outcome, Rejected)
            speed = count / (time.perf_counter() - started)
            bar.update(task, advance=1, speed=f"{speed:.0f}/s")
    err.print(
        f"{len(events) - done} read, {rejected} rejected, {done} already done: {target}",
        markup=False,
    )


class _Events:
    """The events of the input file, by line. Blank lines do not count."""

    def __init__(self, event_type: type[Event[Outcome]], file: Path, max_bytes: int) -> None:
        self._event_type = event_type
        self._lines = [line for line in file.read_bytes().splitlines() if line.strip()]
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._lines)

    def after(self, count: int) -> Iterator[Event[Outcome] | Rejected]:
        """The events that follow the first `count`; a `Rejected` for each invalid one."""
        return (self._decode(index) for index in range(count, len(self._lines)))

    def event_id(self, index: int) -> str:
        """The event's own id, or `line-N` counted from 1."""
        event = self._decode(index)
        own_id = None if isinstance(event, Rejected) else event.id
        return own_id or f"line-{index + 1}"

    def matches(self, index: int, line: bytes) -> bool:
        """Whether `line` can be the outcome of this event: the ids are equal, and an answer is a
        span of this context. An embedding holds nothing of its text to compare.
        """
        try:
            outcome = json.loads(line)
            if outcome["id"] != self.event_id(index):
                return False
            event = self._decode(index)
            if isinstance(event, Rejected) or "rejected" in outcome:
                return "rejected" in outcome
            if not isinstance(event, Question):
                return "embedding" in outcome
            return event.context[outcome["start"] : outcome["end"]] == str(outcome["answer"])
        except (ValueError, KeyError, TypeError):
            return False

    def _decode(self, index: int) -> Event[Outcome] | Rejected:
        try:
            return decode_event(
                self._event_type,
                self._lines[index],
                (),
                default_id=f"line-{index + 1}",
                max_bytes=self._max_bytes,
            ).event
        except Rejected as rejected:
            return rejected


def _line(outcome: Outcome | Rejected, event_id: str) -> bytes:
    if not isinstance(outcome, Rejected):
        return outcome.model_dump_json().encode() + b"\n"
    rejected = {"reason": str(outcome.reason), "detail": outcome.detail}
    return json.dumps({"id": event_id, "rejected": rejected}, ensure_ascii=False).encode() + b"\n"


def _complete_lines(target: Path) -> tuple[int, int]:
    """Number and total bytes of the lines in `target`, without an incomplete last line."""
    if not target.exists():
        return 0, 0
    count = length = 0
    with target.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                count += 1
                length += len(line)
    return count, length


def _check_same_input(target: Path, done: int, events: _Events) -> None:
    """Refuse to extend or overwrite an output that is not from this input: the last complete line
    must match its event. Raises `typer.BadParameter`.
    """
    if not target.exists():
        return
    with target.open("rb") as file:
        if done:
            last = next(itertools.islice(file, done - 1, None))
            same = done <= len(events) and events.matches(done - 1, last)
        else:
            # Either an output with an incomplete first line, or an unrelated file.
            same = _LINE_START.startswith(file.read(len(_LINE_START)))
    if not same:
        raise typer.BadParameter(
            f"{target} exists and is not the output of this input; name another file",
            param_hint="--out",
        )
