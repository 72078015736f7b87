"""Runs a model on examples, and beside it another one.

Knows tasks, events and scores. `worker.cli.model.verify` chooses the models and prints the result.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from schemas.answer import Answer
from schemas.event import Event, Outcome
from schemas.rejection import Rejected
from schemas.text import Text
from worker.inference.options import InferenceOptions
from worker.inference.window import Window
from worker.model_tools.evaluation.compare import Comparison
from worker.model_tools.evaluation.squad import (
    EvaluationResult,
    Example,
    describe_decoder,
    score,
    score_by_answerability,
)
from worker.model_tools.evaluation.unbatched import UnbatchedReader, UnbatchedResult
from worker.models.bundle import Bundle
from worker.models.manifest import RecordedScores, Task

SAMPLE_WINDOWS = 200
"""Windows that are kept, to run them in batches later."""


@dataclass(slots=True)
class ModelRun:
    """A model's outcomes, and its first windows. No outputs: those of a file take gigabytes."""

    outcomes: list[Outcome | Rejected] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)

    def add(self, result: UnbatchedResult) -> None:
        self.outcomes.append(result.outcome)
        self.windows += result.windows[: SAMPLE_WINDOWS - len(self.windows)]


@dataclass(slots=True)
class PairRun:
    """Of a model, and of the one it is compared with, which may be missing."""

    first: ModelRun = field(default_factory=ModelRun)
    second: ModelRun = field(default_factory=ModelRun)
    comparison: Comparison = field(default_factory=Comparison)


def events_for(bundle: Bundle, examples: Sequence[Example]) -> list[Event[Any] | Rejected]:
    """The events that the examples give a model: questions, or each context once to embed."""
    if bundle.manifest.task is Task.QUESTION_ANSWERING:
        return [example.event() for example in examples]
    texts = dict.fromkeys(text for example in examples for text in example.texts)
    return [Text(id=None, text=text) for text in texts]


def run_models(
    first: UnbatchedReader,
    second: UnbatchedReader | None,
    events: Sequence[Event[Any] | Rejected],
    *,
    threads: int,
    on_event: Callable[[], None],
) -> PairRun:
    """Run the events through both models, in order.

    Raises `BundleError` if the models' tokenizers split a text differently.
    """
    run = PairRun()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for ours, theirs in pool.map(partial(_read, first, second), events):
                run.first.add(ours)
                if theirs:
                    run.second.add(theirs)
                    run.comparison.add(ours, theirs)
                on_event()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return run


def _read(
    first: UnbatchedReader, second: UnbatchedReader | None, event: Event[Any] | Rejected
) -> tuple[UnbatchedResult, UnbatchedResult | None]:
    if isinstance(event, Rejected):
        return UnbatchedResult(event), UnbatchedResult(event) if second else None
    return first.read(event), second.read(event) if second else None


def score_run(
    data: str,
    examples: Sequence[Example],
    run: ModelRun,
    options: InferenceOptions,
    max_tokens: int,
) -> RecordedScores:
    """EM and F1 of a run over the file `data`; `max_tokens` is the model's longest window."""
    result = score(examples, _predictions(examples, run))
    return RecordedScores(
        data=data,
        questions=result.total,
        exact_match=round(result.exact_match, 4),
        f1=round(result.f1, 4),
        decoder=describe_decoder(options, max_tokens),
    )


def scores_by_answerability(
    examples: Sequence[Example], run: ModelRun
) -> list[tuple[str, EvaluationResult]]:
    """As `score_by_answerability`, of a run."""
    return list(score_by_answerability(examples, _predictions(examples, run)))


def _predictions(examples: Sequence[Example], run: ModelRun) -> dict[str, str]:
    return {
        example.id: outcome.answer
        for example, outcome in zip(examples, run.outcomes, strict=True)
        if isinstance(outcome, Answer)
    }
