"""Which way of comparing spans across windows finds the best answers?

`python -m tests.bench.score_normalization DATA.json [--model NAME|DIR]`: every question of a SQuAD
file with windows forced small, its logits made once and decoded three ways: a softmax for each
window,
one softmax over all windows, and sums of logits without any. Shown are EM and F1 over all
questions, F1 over those of several windows, and the Brier score, the mean square of (score - 1 if
the answer is exactly right, else 0): how honest the scores are (less is better; sums of logits
are no probabilities and have none).
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
from worker.inference.question_answering.spans import (
    ScoreNormalization,
    SpanOptions,
    WindowLogits,
    rank_spans,
)
from worker.inference.question_answering.windows import EncodedContext, Windower
from worker.model_tools.evaluation.squad import Example, load_squad, score
from worker.models.store import ModelStore

SIZES = ((128, 32), (192, 64), (384, 128), (512, 128))
"""Tokens of a window, and of its overlap with the next."""
MAX_ANSWER_TOKENS = 15
SUMS = "sums of logits"
METHODS = {
    "per-window softmax": ScoreNormalization.PER_WINDOW,
    "one softmax over all": ScoreNormalization.JOINT,
    SUMS: None,
}


@dataclass(slots=True)
class Decoded:
    """What one method made of a file."""

    answers: dict[str, str] = field(default_factory=dict)
    brier: list[float] = field(default_factory=list)


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
    for heading in ("windows", "number", "of several", "method", "EM", "F1", "F1 of several"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    table.add_column("Brier", justify="right")
    for max_tokens, stride in SIZES:
        windower = Windower(bundle, max_tokens=max_tokens)
        decoded = {method: Decoded() for method in METHODS}
        several = set()
        windows = 0
        for example, context, read in _read(
            windower, session, examples, max_tokens, stride, arguments.threads
        ):
            windows += len(read)
            if len(read) > 1:
                several.add(example.id)
            for method, result in decoded.items():
                _decode(example, context, read, METHODS[method], result)
        hard = [example for example in examples if example.id in several]
        for method, result in decoded.items():
            whole, part = score(examples, result.answers), score(hard, result.answers)
            table.add_row(
                f"{max_tokens}/{stride}",
                f"{windows:,}",
                f"{len(hard):,}",
                method,
                f"{whole.exact_match:.2f}",
                f"{whole.f1:.2f}",
                f"{part.f1:.2f}",
                f"{np.mean(result.brier):.4f}" if result.brier else "",
            )
        table.add_section()
    Console().print(table)


def _read(
    windower: Windower,
    session: OnnxSession,
    examples: Sequence[Example],
    max_tokens: int,
    stride: int,
    threads: int,
) -> Iterator[tuple[Example, EncodedContext, list[WindowLogits]]]:
    """The examples that are not rejected, with the logits of their windows."""

    def read(example: Example) -> tuple[Example, EncodedContext, list[WindowLogits]] | None:
        cut = worker_windows(windower, example, max_tokens=max_tokens, stride=stride)
        if cut is None:
            return None
        context, windows = cut
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
        for result in pool.map(read, examples):
            bar.advance(task)
            if result:
                yield result


def _decode(
    example: Example,
    context: EncodedContext,
    read: list[WindowLogits],
    method: ScoreNormalization | None,
    result: Decoded,
) -> None:
    if method is None:
        result.answers[example.id] = _largest_sum(example.context, context, read)
        return
    options = SpanOptions(
        top_k=1,
        max_answer_tokens=MAX_ANSWER_TOKENS,
        align_to_words=True,
        no_answer=False,
        score_normalization=method,
    )
    best = rank_spans(example.context, context, read, options)[0]
    result.answers[example.id] = best.answer
    right = score([example], {example.id: best.answer}).exact_match / 100
    result.brier.append((best.score - right) ** 2)


def _largest_sum(text: str, context: EncodedContext, read: Sequence[WindowLogits]) -> str:
    """The span with the largest start plus end logit, aligned to words: tried one by one."""
    best = (-np.inf, 0, 0)
    for window, starts, ends in read:
        place = slice(window.offset, window.offset + window.count)
        first, last = starts[place].astype(np.float64), ends[place].astype(np.float64)
        for i in range(window.count):
            sums = first[i] + last[i : i + MAX_ANSWER_TOKENS]
            j = int(sums.argmax())
            if sums[j] > best[0]:
                best = (float(sums[j]), window.first + i, window.first + i + j)
    _, begin, end = best
    return text[context.starts[context.word_first[begin]] : context.ends[context.word_last[end]]]


if __name__ == "__main__":
    main()
