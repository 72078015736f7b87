"""Same event, same answer: `python -m tests.inference.same_answers DATA.json [--model NAME|DIR …]`.

Questions of a SQuAD file are read in one order, in reverse, one at a time, and in batches of mixed
lengths, with each number of threads; their answers, five spans with their scores, are compared as
they are, bit by bit. Ends with 1 where one differs.
"""

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from schemas.answer import Answer
from schemas.question import Question
from schemas.rejection import Rejected
from worker.cli.terminal import progress
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.ordered import map_ordered
from worker.model_tools.evaluation.squad import Example, load_squad
from worker.models.bundle import DEFAULT_NAME, Bundle
from worker.models.store import ModelStore

TOP_K = 5
MIXED_TOKENS, MIXED_PADDING = 4096, 0.9
"""Batches of whatever waits, however much of them is padding."""

Answers = dict[str, Answer]


def in_order(reader: InferenceEngine, questions: Sequence[Question]) -> Answers:
    answers: Answers = {}
    for outcome in map_ordered(reader, questions):
        assert isinstance(outcome, Answer), outcome
        answers[outcome.id] = outcome
    return answers


def in_reverse(reader: InferenceEngine, questions: Sequence[Question]) -> Answers:
    return in_order(reader, questions[::-1])


def alone(reader: InferenceEngine, questions: Sequence[Question]) -> Answers:
    """Each when the one before is answered."""
    return {question.id or "": reader.submit(question).result().outcome for question in questions}


def mixed(reader: InferenceEngine, questions: Sequence[Question]) -> Answers:
    """Shuffled, so that long and short ones meet."""
    shuffled = list(questions)
    random.Random(1).shuffle(shuffled)
    return in_order(reader, shuffled)


WAYS: dict[str, Callable[[InferenceEngine, Sequence[Question]], Answers]] = {
    "in order": in_order,
    "in reverse": in_reverse,
    "alone": alone,
    "mixed batches": mixed,
}


def read(
    bundle: Bundle,
    questions: Sequence[Question],
    way: str,
    *,
    threads: int,
    max_tokens: int | None = None,
) -> Answers:
    """Every question's answer, from windows of `max_tokens`. Raises `AssertionError` for a
    rejection.
    """
    defaults = InferenceOptions(threads=threads, top_k=TOP_K, max_tokens=max_tokens)
    if way == "mixed batches":
        defaults = defaults.model_copy(
            update={"max_batch_tokens": MIXED_TOKENS, "max_padding": MIXED_PADDING}
        )
    with InferenceEngine(bundle, defaults) as reader:
        return WAYS[way](reader, questions)


def differing(one: Answers, other: Answers) -> list[str]:
    """The ids whose answers are not the same, missing ones included."""
    ids = one.keys() | other.keys()
    return sorted(each for each in ids if one.get(each) != other.get(each))


def good_questions(examples: Sequence[Example]) -> list[Question]:
    events = [example.event() for example in examples]
    return [event for event in events if not isinstance(event, Rejected)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", action="append")
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    examples = load_squad(arguments.data)
    # Spread over the file: neighbours share their context, and so their length.
    step = max(1, len(examples) // arguments.questions)
    questions = good_questions(examples[::step][: arguments.questions])
    table = Table(title=f"{len(questions)} questions, {TOP_K} spans each, bit by bit")
    for heading in ("model", "threads", "read", "answers that differ"):
        table.add_column(heading)
    wrong = 0
    models = arguments.model or [DEFAULT_NAME]
    with progress() as bar:
        total = len(models) * len(arguments.threads) * len(WAYS)
        task = bar.add_task("orders", total=total, speed="")
        for model in models:
            bundle = ModelStore().open(model)
            first: Answers | None = None
            for threads in arguments.threads:
                for way in WAYS:
                    answers = read(bundle, questions, way, threads=threads)
                    first = first or answers
                    different = differing(first, answers)
                    wrong += len(different)
                    name = f"{bundle.name} ({bundle.manifest.precision})"
                    table.add_row(name, f"{threads}", way, f"{len(different)}")
                    bar.advance(task)
    Console().print(table)
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
