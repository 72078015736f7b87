"""`qa-worker model verify`: runs a model, compares it with another, scores it on a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.demo_events import demo_questions
from worker.cli.errors import CommandError
from worker.cli.model.extra import require_models_extra
from worker.cli.terminal import Table, print_note, progress
from worker.inference.options import InferenceOptions
from worker.model_tools.evaluation.compare import Comparison, batch_difference
from worker.model_tools.evaluation.notes import notes
from worker.model_tools.evaluation.squad import Example, load_squad
from worker.model_tools.evaluation.unbatched import UnbatchedReader
from worker.model_tools.evaluation.verification import (
    ModelRun,
    PairRun,
    events_for,
    run_models,
    score_run,
    scores_by_answerability,
)
from worker.models.bundle import Bundle
from worker.models.manifest import MANIFEST, Task
from worker.models.store import ModelStore
from worker.settings.environment import load


def verify(
    model: Annotated[
        str | None, typer.Argument(metavar="NAME|DIR", help="default: QA_MODEL")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="NAME|DIR", help="compare with this model")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="SQuAD file; default: the demo's questions"),
    ] = None,
    questions: Annotated[
        int | None, typer.Option(min=1, help="number of questions of the file; default: all")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="write EM and F1 into the model's manifest")
    ] = False,
) -> None:
    """Run a model, alone and in batches; compare it with another; score it on a file.

    Exits with 1 if outputs depend on the batch although the manifest says that they do not.
    """
    require_models_extra()
    from worker.model_tools.manifest_writer import record_scores
    from worker.model_tools.smoke_test import smoke_test

    settings = load()
    store = ModelStore(settings.qa.models)
    options = settings.qa.inference
    examples = load_squad(data)[:questions] if data else _demo_examples()
    bundle = store.open(model or settings.qa.model)
    other = store.open(against) if against else None
    _check_options(bundle, other, data, record=record, questions=questions)
    smoke_test(bundle)
    reader = UnbatchedReader(bundle, options)
    run = _run(reader, UnbatchedReader(other, options) if other else None, examples, options)
    difference = batch_difference(reader.session, run.first.windows)
    table = Table()
    for row in _model_rows(bundle, run.first, difference):
        table.add_row(*row)
    if other:
        for row in _comparison_rows(other, run.comparison):
            table.add_row(*row)
    if data and bundle.manifest.task is Task.QUESTION_ANSWERING:
        manifest = bundle.manifest
        own = options.for_model(manifest)
        for note in notes(examples, own, knows_no_answer=manifest.knows_no_answer):
            print_note(f"note: {note}")
        for each, its_run in [(bundle, run.first)] + ([(other, run.second)] if other else []):
            own = options.for_model(each.manifest)
            scores = score_run(data.name, examples, its_run, own, each.manifest.max_tokens)
            table.add_row(f"EM, F1 of {each.name}", f"{scores.exact_match:.4f}, {scores.f1:.4f}")
            for name, part in scores_by_answerability(examples, its_run):
                figures = f"{part.exact_match:.4f}, {part.f1:.4f}"
                table.add_row(f"of {part.total} {name}", figures)
            table.add_row(f"decoder of {each.name}", scores.decoder)
            if record and each is bundle:
                record_scores(bundle, scores)
    table.print()
    if bundle.manifest.batch_invariant and difference:
        raise CommandError(
            f"{bundle.name}: outputs of windows in a batch differ by up to {difference:.3g} from "
            f"those alone, but {MANIFEST} says batch_invariant; build the bundle again"
        )


def _check_options(
    bundle: Bundle, other: Bundle | None, data: Path | None, *, record: bool, questions: int | None
) -> None:
    task = bundle.manifest.task
    if record and (data is None or task is not Task.QUESTION_ANSWERING):
        raise CommandError("--record needs --data and a model for question answering")
    if record and questions:
        raise CommandError("--record needs the scores of a whole file; leave out --questions")
    if other and other.manifest.task is not task:
        raise CommandError(
            f"{bundle.name} is for {task}, {other.name} for {other.manifest.task}; only models "
            f"for one task can be compared"
        )


def _demo_examples() -> list[Example]:
    """The demo's questions. They have no gold answers."""
    return [
        Example(str(number), question.question, question.context or "", ())
        for number, question in enumerate(demo_questions())
    ]


def _run(
    reader: UnbatchedReader,
    other: UnbatchedReader | None,
    examples: list[Example],
    options: InferenceOptions,
) -> PairRun:
    events = events_for(reader.bundle, examples)
    with progress() as bar:
        task = bar.add_task("reading", total=len(events), speed="")
        return run_models(
            reader, other, events, threads=options.threads, on_event=lambda: bar.advance(task)
        )


def _model_rows(bundle: Bundle, run: ModelRun, difference: float) -> Iterator[tuple[str, str]]:
    manifest = bundle.manifest
    yield "model", f"{bundle.name} ({manifest.task}, {manifest.precision})"
    yield "files", "complete, sha256 as in the manifest"
    yield "runs", f"windows of 8 and of {manifest.max_tokens} tokens"
    yield "events read", f"{len(run.outcomes)}"
    measured = f"differ by up to {difference:.3g}" if difference else "are bit-equal"
    listed = "batch-invariant" if manifest.batch_invariant else "not batch-invariant"
    yield (
        "alone and in batches",
        f"{len(run.windows)} windows {measured}; the manifest says {listed}",
    )


def _comparison_rows(other: Bundle, comparison: Comparison) -> Iterator[tuple[str, str]]:
    yield "against", f"{other.name} ({other.manifest.precision})"
    yield "largest difference", f"{comparison.largest:.3g} (mean {comparison.mean:.3g})"
    if other.manifest.task is Task.QUESTION_ANSWERING:
        yield "equal answers", f"{comparison.share_equal:.4%} of {comparison.events}"
    else:
        yield "least cosine", f"{comparison.least_cosine:.6f}"
