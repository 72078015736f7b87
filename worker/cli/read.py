"""`qa-worker read`: reads a file of events and writes a file of their outcomes, without Kafka.

The output has one line for each event, in the same order: an answer, an embedding, or the reason
and detail of a rejection with the number of its line. An interrupted run resumes after the last
complete output line, if input, model and settings are those of its beginning.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.question import Question
from schemas.rejection import Rejected
from worker.cli.errors import CommandError
from worker.cli.event_file import EventFile
from worker.cli.read_run import ReadRun, describe, open_output
from worker.cli.terminal import print_note, progress
from worker.inference.engine import InferenceEngine
from worker.inference.ordered import map_ordered
from worker.models.store import ModelStore
from worker.settings.environment import load


def read(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="JSON Lines in UTF-8: one event on each line."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The output file. Default: FILE with the suffix .answers.jsonl or "
            ".embeddings.jsonl. Beside it, OUT.run.json says what it was made from."
        ),
    ] = None,
) -> None:
    """Answer a file of questions, or embed a file of texts, without Kafka. A second run resumes an
    interrupted one. Exits with 1 if a line is rejected, in this run or before.
    """
    settings = load()
    bundle = ModelStore(settings.qa.models).open(settings.qa.model)
    engine = InferenceEngine(bundle, settings.qa.inference)
    event_type = engine.event_type
    suffix = ".answers.jsonl" if event_type is Question else ".embeddings.jsonl"
    target = out or file.with_suffix(suffix)
    if target.resolve() == file.resolve():
        raise typer.BadParameter(f"{target} is the input", param_hint="--out")
    content = file.read_bytes()
    events = EventFile(file, content, event_type, settings.qa.max_record_bytes)
    run = ReadRun.of(content, bundle.manifest, engine.model.provider, settings.qa)
    with engine, open_output(target, run, len(events)) as (output, done), progress() as bar:
        rejected, first = done.rejected, done.first_rejected
        started = time.perf_counter()
        task = bar.add_task("reading", total=len(events), completed=done.lines, speed="")
        for count, outcome in enumerate(map_ordered(engine, events.after(done.lines)), start=1):
            if isinstance(outcome, Rejected):
                fields = _rejection(outcome, events, done.lines + count - 1)
                rejected, first = rejected + 1, first or describe(fields)
                # `backslashreplace`: a detail may quote what UTF-8 cannot encode.
                line = json.dumps(fields, ensure_ascii=False).encode("utf-8", "backslashreplace")
            else:
                line = outcome.model_dump_json().encode()
            output.write(line + b"\n")
            speed = count / (time.perf_counter() - started)
            bar.update(task, advance=1, speed=f"{speed:.0f}/s")
    print_note(f"{len(events) - done.lines} read, {done.lines} already done: {target}")
    if rejected:
        raise CommandError(
            f"{rejected} of {len(events)} events are rejected, the first in {first}; all have the "
            f"field `rejected` in {target}"
        )


def _rejection(rejected: Rejected, events: EventFile, index: int) -> dict[str, Any]:
    return {
        "id": events.event_id(index),
        "line": events.line_number(index),
        "rejected": {"reason": str(rejected.reason), "detail": rejected.detail},
    }
