"""`qa-worker model verify`: does a bundle run, does it do what it says, and how far is it from
another?
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from schemas.answer import Answer
from schemas.event import Event, Outcome
from schemas.rejection import Rejected
from schemas.text import Text as TextEvent
from worker.cli.demo_events import demo_questions
from worker.cli.model.extra import require_models_extra
from worker.cli.terminal import out, progress
from worker.inference.options import InferenceOptions
from worker.inference.window import Window
from worker.model_tools.evaluation.squad import Example, describe_decoder, load_squad, score
from worker.model_tools.evaluation.unbatched import UnbatchedReader, UnbatchedResult
from worker.models.bundle import Bundle, BundleError
from worker.models.manifest import MANIFEST, RecordedScores, Task
from worker.models.store import ModelStore
from worker.settings.environment import load

if TYPE_CHECKING:
    from worker.model_tools.evaluation.compare import Comparison

_BATCHED = 200
"""Windows that are read alone and in batches."""


def verify(
    model: Annotated[
        str | None, typer.Argument(metavar="NAME|DIR", help="default: what QA_MODEL means")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="NAME|DIR", help="compare with this model")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="SQuAD file to read; default: a few texts"),
    ] = None,
    questions: Annotated[
        int | None, typer.Option(min=1, help="of the file; default: all of them")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="write EM and F1 into the model's manifest")
    ] = False,
) -> None:
    """Open and run a model, alone and in batches; compare it with another; score it on a file.

    Exits 1 where windows of a batch change each other and the manifest says that they do not.
    """
    require_models_extra()
    from worker.model_tools.evaluation.compare import batch_difference
    from worker.model_tools.manifest_writer import record_scores
    from worker.model_tools.smoke_test import smoke_test

    settings = load()
    store = ModelStore(settings.qa.models)
    defaults = settings.qa.inference
    bundle = store.open(model or settings.qa.model)
    if record and (data is None or bundle.manifest.task is not Task.QUESTION_ANSWERING):
        raise BundleError("--record needs a model that answers questions, and --data to score it")
    if record and questions:
        raise BundleError("--record is for the scores of a whole file: leave --questions out")
    smoke_test(bundle)
    reader = UnbatchedReader(bundle, defaults)
    other = UnbatchedReader(store.open(against), defaults) if against else None
    if other:
        _check_comparable(bundle, other.bundle)
    examples = load_squad(data)[:questions] if data else _built_in()
    ours, theirs, comparison = _read(reader, other, examples, defaults)
    difference = batch_difference(reader.session, ours.windows)
    table = Table(show_header=False)
    for row in _facts(bundle, ours, difference):
        table.add_row(*map(Text, row))
    if other:
        for row in _beside(other.bundle, comparison):
            table.add_row(*map(Text, row))
    if data:
        for each, read in [(bundle, ours)] + ([(other.bundle, theirs)] if other else []):
            if each.manifest.task is Task.QUESTION_ANSWERING:
                scores = _scores(data, examples, read, defaults, each.manifest.max_tokens)
                table.add_row(
                    Text(f"EM, F1 of {each.name}"),
                    Text(f"{scores.exact_match:.4f}, {scores.f1:.4f}"),
                )
                if record and each is bundle:
                    record_scores(bundle, scores)
    out.print(table)
    if bundle.manifest.batch_invariant and difference:
        raise BundleError(
            f"{bundle.name}: windows of a batch change each other's outputs, by up to "
            f"{difference:.3g}, and its {MANIFEST} says that they do not"
        )


def _check_comparable(bundle: Bundle, other: Bundle) -> None:
    if bundle.manifest.task is not other.manifest.task:
        raise BundleError(
            f"{bundle.name} is for {bundle.manifest.task}, {other.name} for {other.manifest.task}: "
            f"there is nothing to compare"
        )


def _built_in() -> list[Example]:
    """The demo's questions. They have no gold answers."""
    return [
        Example(str(number), question.question, question.context, ())
        for number, question in enumerate(demo_questions())
    ]


@dataclass(slots=True)
class _Read:
    """What was made of the examples. No outputs: the token vectors of a file are gigabytes."""

    outcomes: list[Outcome | Rejected] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    """The first of them."""

    def add(self, reading: UnbatchedResult) -> None:
        self.outcomes.append(reading.outcome)
        self.windows += reading.windows[: _BATCHED - len(self.windows)]


def _read(
    reader: UnbatchedReader,
    other: UnbatchedReader | None,
    examples: Sequence[Example],
    defaults: InferenceOptions,
) -> tuple[_Read, _Read, "Comparison"]:
    """What each of them makes of the examples, and how they compare."""
    from worker.model_tools.evaluation.compare import Comparison

    events = list(_events(reader.bundle, examples))
    ours, theirs, comparison = _Read(), _Read(), Comparison()
    with ThreadPoolExecutor(defaults.threads) as pool, progress() as bar:
        task = bar.add_task("reading", total=len(events), speed="")
        try:
            for mine, yours in pool.map(partial(_read_one, reader, other), events):
                ours.add(mine)
                if yours:
                    theirs.add(yours)
                    comparison.add(mine, yours)
                bar.advance(task)
        except ValueError as error:
            pool.shutdown(cancel_futures=True)
            raise BundleError(str(error)) from None
    return ours, theirs, comparison


def _read_one(
    reader: UnbatchedReader, other: UnbatchedReader | None, event: Event[Any] | Rejected
) -> tuple[UnbatchedResult, UnbatchedResult | None]:
    if isinstance(event, Rejected):
        return UnbatchedResult(event), UnbatchedResult(event) if other else None
    return reader.read(event), other.read(event) if other else None


def _events(bundle: Bundle, examples: Sequence[Example]) -> Iterator[Event[Any] | Rejected]:
    if bundle.manifest.task is Task.QUESTION_ANSWERING:
        yield from (example.event() for example in examples)
        return
    for context in dict.fromkeys(example.context for example in examples):
        yield TextEvent(id=None, text=context)


def _facts(bundle: Bundle, read: _Read, difference: float) -> Iterator[tuple[str, str]]:
    manifest = bundle.manifest
    yield "model", f"{bundle.name} ({manifest.task}, {manifest.precision})"
    yield "files", "all there, with the listed sha256"
    yield "runs", f"windows of 8 and of {manifest.max_tokens} tokens"
    yield "events read", f"{len(read.outcomes)}"
    measured = f"differ by up to {difference:.3g}" if difference else "are bit-equal"
    listed = "batch-invariant" if manifest.batch_invariant else "not batch-invariant"
    yield (
        "alone and in batches",
        f"{len(read.windows)} windows {measured}; the manifest says {listed}",
    )


def _beside(other: Bundle, comparison: "Comparison") -> Iterator[tuple[str, str]]:
    yield "against", f"{other.name} ({other.manifest.precision})"
    yield "largest difference", f"{comparison.largest:.3g} (mean {comparison.mean:.3g})"
    if other.manifest.task is Task.QUESTION_ANSWERING:
        equal = f"{comparison.share_equal:.4%} of {comparison.events}"
        yield "equal answers", equal
    else:
        yield "least cosine", f"{comparison.least_cosine:.6f}"


def _scores(
    data: Path,
    examples: Sequence[Example],
    read: _Read,
    defaults: InferenceOptions,
    longest: int,
) -> RecordedScores:
    predictions = {
        example.id: outcome.answer
        for example, outcome in zip(examples, read.outcomes, strict=True)
        if isinstance(outcome, Answer)
    }
    scores = score(list(examples), predictions)
    return RecordedScores(
        data=data.name,
        questions=scores.total,
        exact_match=round(scores.exact_match, 4),
        f1=round(scores.f1, 4),
        decoder=describe_decoder(defaults, longest),
    )
