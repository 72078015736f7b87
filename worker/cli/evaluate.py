"""`qa-worker evaluate`: EM and F1 on a SQuAD file."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from schemas.answer import Answer
from worker.bundles.store import Store
from worker.cli.console import out, progress
from worker.environment import load
from worker.reading.bundle import BundleError
from worker.reading.evaluate import describe_decoder, load_squad, score
from worker.reading.manifest import Task
from worker.reading.reader import Reader
from worker.reading.sequence import read_in_order


def evaluate(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="SQuAD v1.1 or v2.0, JSON")
    ],
) -> None:
    """Score the model on a SQuAD file: EM and F1 with the official normalisation."""
    settings = load()
    examples = load_squad(file)
    bundle = Store(settings.qa.models).open(settings.qa.model)
    if bundle.manifest.task is not Task.QUESTION_ANSWERING:
        raise BundleError(
            f"{bundle.name} is a model for {bundle.manifest.task}: SQuAD has no gold for those"
        )
    predictions: dict[str, str] = {}
    windows = 0
    with Reader(bundle, settings.qa.reading()) as reader, progress() as bar:
        began = time.perf_counter()
        task = bar.add_task("evaluating", total=len(examples), speed="")
        outcomes = read_in_order(reader, (example.event() for example in examples))
        for example, outcome in zip(examples, outcomes, strict=True):
            if isinstance(outcome, Answer):
                predictions[example.id] = outcome.answer
                windows += outcome.windows
            speed = (bar.tasks[0].completed + 1) / (time.perf_counter() - began)
            bar.update(task, advance=1, speed=f"{speed:.0f}/s")
        seconds = time.perf_counter() - began
    scores = score(examples, predictions)
    table = Table(title=Text(str(file)), show_header=False)
    table.add_row("EM", f"{scores.exact_match:.4f}")
    table.add_row("F1", f"{scores.f1:.4f}")
    table.add_row("questions", f"{scores.total}")
    table.add_row("rejected", f"{scores.total - len(predictions)}")
    table.add_row("windows", f"{windows}")
    table.add_row("questions/s", f"{scores.total / seconds:.1f}")
    table.add_row("model", f"{reader.model.name} ({reader.model.precision})")
    table.add_row("decoder", describe_decoder(settings.qa.reading(), bundle.manifest.max_tokens))
    out.print(table)
