"""`qa-worker read`: a file of events to a file of their outcomes, with no broker; resumable.

One line out for one line in, in order: an answer or an embedding, as the model's task has it, or
what would have been a dead letter. So a run that was cut off goes on behind the last whole line
of its output.
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

_BEGINNING = b'{"id":'
"""How every line of an output begins."""


def read(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="one event a line")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="where outcomes go; default: FILE with .answers.jsonl or .embeddings.jsonl"
        ),
    ] = None,
) -> None:
    """Answer a file of questions, or embed one of texts, with no broker. Run again, it goes on
    where it stopped.
    """
    settings = load()
    reader = InferenceEngine(
        ModelStore(settings.qa.models).open(settings.qa.model), settings.qa.reading()
    )
    kind = reader.event_type
    target = out or file.with_suffix(".answers.jsonl" if kind is Question else ".embeddings.jsonl")
    if target.resolve() == file.resolve():
        raise typer.BadParameter(f"{target} is the input", param_hint="--out")
    events = _Events(kind, file, settings.qa.max_record_bytes)
    done, length = _whole_lines(target)
    _check_same(target, done, events)
    rejected = 0
    with (
        reader,
        target.open("ab") as outcomes,
        progress() as bar,
    ):
        outcomes.truncate(length)
        began = time.perf_counter()
        task = bar.add_task("reading", total=len(events), completed=done, speed="")
        for count, outcome in enumerate(map_ordered(reader, events.after(done)), start=1):
            outcomes.write(_line(outcome, events.name(done + count - 1)))
            rejected += isinstance(outcome, Rejected)
            speed = count / (time.perf_counter() - began)
            bar.update(task, advance=1, speed=f"{speed:.0f}/s")
    err.print(
        f"{len(events) - done} read, {rejected} rejected, {done} there before: {target}",
        markup=False,
    )


class _Events:
    """The lines of the input, blank ones left out."""

    def __init__(self, kind: type[Event[Outcome]], file: Path, max_bytes: int) -> None:
        self._kind = kind
        self._lines = [line for line in file.read_bytes().splitlines() if line.strip()]
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._lines)

    def after(self, count: int) -> Iterator[Event[Outcome] | Rejected]:
        return (self._open(index) for index in range(count, len(self._lines)))

    def name(self, index: int) -> str:
        """The id that the outcome of this line carries."""
        event = self._open(index)
        name = None if isinstance(event, Rejected) else event.id
        return name or f"line-{index + 1}"

    def settled_by(self, index: int, line: bytes) -> bool:
        """Whether `line` can be the outcome of this event: its id, and an answer's span of this
        context. An embedding does not show its text.
        """
        try:
            outcome = json.loads(line)
            if outcome["id"] != self.name(index):
                return False
            event = self._open(index)
            if isinstance(event, Rejected) or "rejected" in outcome:
                return "rejected" in outcome
            if not isinstance(event, Question):
                return "embedding" in outcome
            return event.context[outcome["start"] : outcome["end"]] == str(outcome["answer"])
        except (ValueError, KeyError, TypeError):
            return False

    def _open(self, index: int) -> Event[Outcome] | Rejected:
        try:
            return decode_event(
                self._kind,
                self._lines[index],
                (),
                default_id=f"line-{index + 1}",
                max_bytes=self._max_bytes,
            ).event
        except Rejected as rejected:
            return rejected


def _line(outcome: Outcome | Rejected, name: str) -> bytes:
    if not isinstance(outcome, Rejected):
        return outcome.model_dump_json().encode() + b"\n"
    verdict = {"reason": str(outcome.reason), "detail": outcome.detail}
    return json.dumps({"id": name, "rejected": verdict}, ensure_ascii=False).encode() + b"\n"


def _whole_lines(target: Path) -> tuple[int, int]:
    """How many lines `target` has, and how many bytes; one that was cut off counts for neither."""
    if not target.exists():
        return 0, 0
    whole = length = 0
    with target.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                whole += 1
                length += len(line)
    return whole, length


def _check_same(target: Path, done: int, events: _Events) -> None:
    """The output must be of this input: its last line names the line that it answers."""
    if not target.exists():
        return
    with target.open("rb") as file:
        if done:
            last = next(itertools.islice(file, done - 1, None))
            same = done <= len(events) and events.settled_by(done - 1, last)
        else:
            # Cut off in its first line, or somebody's file without a line break.
            same = _BEGINNING.startswith(file.read(len(_BEGINNING)))
    if not same:
        raise typer.BadParameter(
            f"{target} is there and is not of this input; name another file", param_hint="--out"
        )
