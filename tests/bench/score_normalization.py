"""Compares three methods to rank spans across windows.

`python -m tests.bench.score_normalization DATA.json [--model NAME|DIR]` runs every question of a
SQuAD file with short windows, and ranks the spans three times from the same logits: with a softmax
for each window, with one softmax over all windows, and by sums of logits without softmax. The table
shows EM and F1 over all questions, F1 over questions with several windows, and the Brier score: the
mean square of the score minus 1 if the answer is exactly right, otherwise of the score. It measures
the calibration of the scores; lower is better. Sums of logits are not probabilities and have none.
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.parity.worker_spans import worker_windows
from worker.cli.terminal import progress
from worker.inference.onnx_session import OnnxSession, SessionOptions
from worker.inference.question_answering.candidates import WindowLogits
from worker.inference.question_answering.spans import (
    ScoreNormalization,
    SpanOptions,
    rank_spans,
)
from worker.inference.question_answering.windows import EncodedContext, Windower
from worker.model_tools.evaluation.squad import Example, load_squad, score
from worker.models.store import ModelStore

SIZES = ((128, 32), (192, 64), (384, 128), (512, 128))
"""Window length and overlap with the next window, in tokens."""
MAX_ANSWER_TOKENS = 15
SUMS = "sums of logits"
METHODS = {
    "per-window softmax": ScoreNormalization.PER_WINDOW,
    "one softmax over all": ScoreNormalization.JOINT,
    SUMS: None,
}


@dataclass(slots=True)
class Results:
    """The results of one method."""

    answers: dict[str, str] = field(default_factory=dict)
    """Best answers by question id."""
    brier: list[float] = field(default_factory=list)
    """Squared error of the score of each question."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--questions", type=int)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    bundle = ModelStore().open(arguments.model)
    examples = load_squad(arguments.data)[: arguments.questions]
    session = OnnxSession(bundle, SessionOptions(callers=arguments.threads))
    table = Table(title=f"{bundle.name} ({bundle.manifest.precision}), {len(examples)} questions")
    for heading in ("size", "windows", "several", "method", "EM", "F1", "F1 of several"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    table.add_column("Brier", justify="right")
    for max_tokens, stride in SIZES:
        windower = Windower(bundle, max_tokens=max_tokens)
        by_method = {method: Results() for method in METHODS}
        ids_with_several_windows = set()
        window_count = 0
        for example, context, windows in _run_model(
            windower, session, examples, max_tokens, stride, arguments.threads
        ):
            window_count += len(windows)
            if len(windows) > 1:
                ids_with_several_windows.add(example.id)
            for method, result in by_method.items():
                _rank(example, context, windows, METHODS[method], result)
        several = [example for example in examples if example.id in ids_with_several_windows]
        for method, result in by_method.items():
            total = score(examples, result.answers)
            f1_of_several = score(several, result.answers).f1
            table.add_row(
                f"{max_tokens}/{stride}",
                f"{window_count:,}",
                f"{len(several):,}",
                method,
                f"{total.exact_match:.2f}",
                f"{total.f1:.2f}",
                f"{f1_of_several:.2f}",
                f"{np.mean(result.brier):.4f}" if result.brier else "",
            )
        table.add_section()
    Console().print(table)


def _run_model(
    windower: Windower,
    session: OnnxSession,
    examples: Sequence[Example],
    max_tokens: int,
    stride: int,
    threads: int,
) -> Iterator[tuple[Example, EncodedContext, list[WindowLogits]]]:
    """Yields the examples that are not rejected, with the logits of their windows."""

    def run(example: Example) -> tuple[Example, EncodedContext, list[WindowLogits]] | None:
        encoded = worker_windows(windower, example, max_tokens=max_tokens, stride=stride)
        if encoded is None:
            return None
        context, windows = encoded
        logits = (session.run([window])[0] for window in windows)
        return (
            example,
            context,
            [
                (window, starts, ends)
                for window, (starts, ends) in zip(windows, logits, strict=True)
            ],
        )

    with ThreadPoolExecutor(threads) as pool, progress() as bar:
        task = bar.add_task(f"{max_tokens}/{stride}", total=len(examples), speed="")
        for result in pool.map(run, examples):
            bar.advance(task)
            if result:
                yield result


def _rank(
    example: Example,
    context: EncodedContext,
    windows: list[WindowLogits],
    method: ScoreNormalization | None,
    result: Results,
) -> None:
    """Adds the best answer to `result`. The method `None` stands for sums of logits."""
    if method is None:
        result.answers[example.id] = _largest_sum(example.context, context, windows)
        return
    options = SpanOptions(
        top_k=1,
        max_answer_tokens=MAX_ANSWER_TOKENS,
        align_to_words=True,
        no_answer=False,
        score_normalization=method,
    )
    best = rank_spans(example.context, context, windows, options)[0]
    result.answers[example.id] = best.answer
    right = score([example], {example.id: best.answer}).exact_match / 100
    result.brier.append((best.score - right) ** 2)


def _largest_sum(text: str, context: EncodedContext, windows: Sequence[WindowLogits]) -> str:
    """Returns the answer with the largest start plus end logit, aligned to words."""
    best = (-np.inf, 0, 0)
    for window, starts, ends in windows:
        tokens = slice(window.offset, window.offset + window.count)
        first, last = starts[tokens].astype(np.float64), ends[tokens].astype(np.float64)
        for i in range(window.count):
            sums = first[i] + last[i : i + MAX_ANSWER_TOKENS]
            j = int(sums.argmax())
            if sums[j] > best[0]:
                best = (float(sums[j]), window.first + i, window.first + i + j)
    _, begin, end = best
    return text[context.starts[context.word_first[begin]] : context.ends[context.word_last[end]]]


if __name__ == "__main__":
    main()
