"""`qa-worker evaluate`: scores a model on a SQuAD file, with EM and F1."""

import time
from pathlib import Path
from typing import Annotated

import typer

from schemas.answer import Answer
from worker.cli.errors import CommandError
from worker.cli.terminal import Table, print_note, progress
from worker.inference.engine import InferenceEngine
from worker.inference.ordered import map_ordered
from worker.model_tools.evaluation.notes import notes
from worker.model_tools.evaluation.squad import (
    describe_decoder,
    load_squad,
    score,
    score_by_answerability,
)
from worker.models.manifest import Task
from worker.models.store import ModelStore
from worker.settings.environment import load


def evaluate(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="SQuAD v1.1 or v2.0, JSON")
    ],
) -> None:
    """Score the model on a SQuAD file: EM and F1, normalized as by the official script."""
    settings = load()
    bundle = ModelStore(settings.qa.models).open(settings.qa.model)
    if bundle.manifest.task is not Task.QUESTION_ANSWERING:
        raise CommandError(
            f"{bundle.name} is for {bundle.manifest.task}; set QA_MODEL to a model for "
            f"{Task.QUESTION_ANSWERING}"
        )
    examples = load_squad(file)
    manifest = bundle.manifest
    options = settings.qa.inference.for_model(manifest)
    for note in notes(examples, options, knows_no_answer=manifest.knows_no_answer):
        print_note(f"note: {note}")
    predictions: dict[str, str] = {}
    windows = 0
    with InferenceEngine(bundle, options) as engine, progress() as bar:
        began = time.perf_counter()
        task = bar.add_task("evaluating", total=len(examples), speed="")
        outcomes = map_ordered(engine, (example.event() for example in examples))
        for example, outcome in zip(examples, outcomes, strict=True):
            if isinstance(outcome, Answer):
                predictions[example.id] = outcome.answer
                windows += outcome.windows
            speed = (bar.tasks[0].completed + 1) / (time.perf_counter() - began)
            bar.update(task, advance=1, speed=f"{speed:.0f}/s")
        seconds = time.perf_counter() - began
    scores = score(examples, predictions)
    table = Table(title=str(file))
    table.add_row("EM", f"{scores.exact_match:.4f}")
    table.add_row("F1", f"{scores.f1:.4f}")
    for name, part in score_by_answerability(examples, predictions):
        table.add_row(f"EM, F1 of {part.total} {name}", f"{part.exact_match:.4f}, {part.f1:.4f}")
    table.add_row("questions", f"{scores.total}")
    table.add_row("rejected", f"{scores.total - len(predictions)}")
    table.add_row("windows", f"{windows}")
    table.add_row("questions/s", f"{scores.total / seconds:.1f}")
    table.add_row("model", f"{engine.model.name} ({engine.model.precision})")
    table.add_row("decoder", describe_decoder(options, manifest.max_tokens))
    table.print()
