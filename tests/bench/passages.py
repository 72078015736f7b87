"""Answers a question from several passages: the right paragraph among others of its article.

`python -m tests.bench.passages DATA.json [--questions 500] [--ordered 2000]
[--ordered-passages 5] [--seed 0]` asks
questions of a SQuAD file, evenly spread over it, with 1, 2, 5, 10 and 20 paragraphs, in a shuffled
order. A longer list has the paragraphs of the shorter ones. The table shows EM, F1, the share of
answers from the right paragraph, and windows per second.

Then it compares answers bit by bit: those from one passage with those from the same context, and
those from the same passages in two orders. Ends with 1 if one differs.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.answer import Answer
from schemas.question import Passage, Question, ReadingOptions
from worker.cli.terminal import progress
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.ordered import map_ordered
from worker.model_tools.evaluation.squad import Example, load_squad, score
from worker.models.store import ModelStore

NUMBERS = (1, 2, 5, 10, 20)
TOP_K = ReadingOptions(top_k=5)

Articles = dict[str, list[str]]
"""By the text of a paragraph: all paragraphs of its article."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument(
        "--ordered", type=int, default=2000, help="questions that are asked in two orders"
    )
    parser.add_argument("--ordered-passages", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    every = load_squad(arguments.data)
    articles = paragraphs_by_article(arguments.data)
    examples = spread(every, arguments.questions)
    bundle = ModelStore().open(arguments.model)
    table = Table(title=f"{bundle.name} ({bundle.manifest.precision}), {len(examples)} questions")
    for heading in ("passages", "mean", "EM", "F1", "right passage", "windows", "windows/s"):
        table.add_column(heading, justify="right")
    with InferenceEngine(
        bundle, InferenceOptions(threads=arguments.threads, no_answer=False)
    ) as engine:
        single, speed = ask(engine, [context_question(each) for each in examples], "context")
        add_row(table, "context", examples, [[each.context] for each in examples], single, speed)
        one: list[Answer] = []
        for number in NUMBERS:
            chosen = [choose(each, articles, number, arguments.seed) for each in examples]
            questions = [
                passage_question(each, passages)
                for each, passages in zip(examples, chosen, strict=True)
            ]
            answers, speed = ask(engine, questions, f"{number} passages")
            texts = [[passage.text for passage in passages] for passages in chosen]
            add_row(table, str(number), examples, texts, answers, speed)
            if number == 1:
                one = answers
        unequal = sum(
            context_answer.model_dump(exclude=_PLACE) != passage_answer.model_dump(exclude=_PLACE)
            for context_answer, passage_answer in zip(single, one, strict=True)
        )
        several, number = spread(every, arguments.ordered), arguments.ordered_passages
        chosen = [choose(each, articles, number, arguments.seed) for each in several]
        orders = (
            [passage_question(each, passages) for each, passages in zip(several, way, strict=True)]
            for way in (chosen, [passages[::-1] for passages in chosen])
        )
        forth, back = (ask(engine, questions, "two orders")[0] for questions in orders)
        differ = sum(in_place(a) != in_place(b) for a, b in zip(forth, back, strict=True))
    Console().print(table)
    print(f"one passage and the same context: {unequal} of {len(one)} answers differ")
    print(f"{number} passages in two orders: {differ} of {len(forth)} answers differ")
    if unequal or differ:
        sys.exit(1)


_PLACE: dict[str, Any] = {"context_id": True, "answers": {"__all__": {"context_id"}}}
"""A context has no id; everything else is compared."""


def paragraphs_by_article(file: Path) -> Articles:
    articles: Articles = {}
    for article in json.loads(file.read_bytes())["data"]:
        texts = list(dict.fromkeys(each["context"] for each in article["paragraphs"]))
        articles |= dict.fromkeys(texts, texts)
    return articles


def spread(examples: Sequence[Example], count: int) -> list[Example]:
    """At most `count` examples, evenly spread."""
    step = max(1, len(examples) / max(1, count))
    return [examples[int(number * step)] for number in range(min(count, len(examples)))]


def choose(example: Example, articles: Articles, number: int, seed: int) -> list[Passage]:
    """The right paragraph and up to `number - 1` others of its article, shuffled."""
    source = random.Random(f"{seed} {example.id}")
    others = [text for text in articles[example.context] if text != example.context]
    texts = [example.context, *source.sample(others, len(others))[: number - 1]]
    source.shuffle(texts)
    place = articles[example.context].index
    return [Passage(id=str(place(text)), text=text) for text in texts]


def context_question(example: Example) -> Question:
    return Question(
        id=example.id, question=example.question, context=example.context, options=TOP_K
    )


def passage_question(example: Example, passages: list[Passage]) -> Question:
    return Question(id=example.id, question=example.question, contexts=passages, options=TOP_K)


def ask(
    engine: InferenceEngine, questions: Sequence[Question], name: str
) -> tuple[list[Answer], float]:
    """The answers, and how many windows the model read in a second."""
    answers: list[Answer] = []
    with progress() as bar:
        task = bar.add_task(name, total=len(questions), speed="")
        began = time.perf_counter()
        for outcome in map_ordered(engine, questions):
            assert isinstance(outcome, Answer), outcome
            answers.append(outcome)
            bar.advance(task)
        seconds = time.perf_counter() - began
    return answers, sum(answer.windows for answer in answers) / seconds


def add_row(
    table: Table,
    name: str,
    examples: Sequence[Example],
    contexts: Sequence[Sequence[str]],
    answers: Sequence[Answer],
    speed: float,
) -> None:
    """`contexts` are the texts of each question's passages."""
    result = score(examples, {answer.id: answer.answer for answer in answers})
    mean = sum(map(len, contexts)) / len(contexts)
    right = sum(
        texts[answer.context_index or 0] == example.context
        for example, texts, answer in zip(examples, contexts, answers, strict=True)
    )
    table.add_row(
        name,
        f"{mean:.1f}",
        f"{result.exact_match:.2f}",
        f"{result.f1:.2f}",
        f"{right / len(examples):.1%}",
        f"{sum(answer.windows for answer in answers):,}",
        f"{speed:.1f}",
    )


def in_place(answer: Answer) -> object:
    """The answer without the indexes of its passages, which have ids too."""
    return answer.model_dump(
        exclude={"context_index": True, "answers": {"__all__": {"context_index"}}}
    )


if __name__ == "__main__":
    main()
