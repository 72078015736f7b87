"""Runs one competitor of `precision.py` in a separate process.

`python -m tests.bench.competitor_process KIND PATH DATA`: KIND is `worker` (PATH is a bundle for
the worker's engine) or `transformers` (PATH is a directory with safetensors for Hugging Face's
pipeline). Reads lines "begin end" from stdin, answers these questions of the file, and writes a
line with the seconds and the answers. A separate process can have another environment, and its
memory is that of one competitor.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from schemas.answer import Answer
from worker.inference.engine import InferenceEngine
from worker.inference.execution_providers import Provider
from worker.inference.options import InferenceOptions
from worker.inference.ordered import map_ordered
from worker.model_tools.evaluation.squad import Example, load_squad
from worker.models.bundle import open_bundle

AnswerAll = Callable[[Sequence[Example]], dict[str, str]]
"""Returns the best answers by question id."""

WARM_UP = 32


@contextmanager
def _worker(path: Path, threads: int, provider: str) -> Iterator[AnswerAll]:
    defaults = InferenceOptions(threads=threads, providers=(Provider(provider),))
    with InferenceEngine(open_bundle(path), defaults) as engine:

        def answer_all(examples: Sequence[Example]) -> dict[str, str]:
            outcomes = map_ordered(engine, (example.event() for example in examples))
            return {
                example.id: outcome.answer
                for example, outcome in zip(examples, outcomes, strict=True)
                if isinstance(outcome, Answer)
            }

        yield answer_all


@contextmanager
def _transformers(path: Path, threads: int, batch: int) -> Iterator[AnswerAll]:
    import torch
    from transformers import pipeline

    torch.set_num_threads(threads)
    model = pipeline("question-answering", model=str(path), tokenizer=str(path), device="cpu")

    def answer_all(examples: Sequence[Example]) -> dict[str, str]:
        inputs = [{"question": e.question, "context": e.context} for e in examples]
        results = model(inputs, batch_size=batch)
        if isinstance(results, dict):
            results = [results]
        return {
            example.id: str(result["answer"])
            for example, result in zip(examples, results, strict=True)
        }

    yield answer_all


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("worker", "transformers"))
    parser.add_argument("path", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--provider", default="cpu")
    parser.add_argument("--batch", type=int, default=1)
    arguments = parser.parse_args()
    examples = load_squad(arguments.data)
    competitor = (
        _worker(arguments.path, arguments.threads, arguments.provider)
        if arguments.kind == "worker"
        else _transformers(arguments.path, arguments.threads, arguments.batch)
    )
    with competitor as answer_all:
        answer_all(examples[:WARM_UP])
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            begin, end = map(int, line.split())
            began = time.perf_counter()
            answers = answer_all(examples[begin:end])
            seconds = time.perf_counter() - began
            print(json.dumps({"seconds": seconds, "answers": answers}), flush=True)


if __name__ == "__main__":
    main()
