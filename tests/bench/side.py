"""One side of the precision table, in a process of its own: `python -m tests.bench.side KIND PATH
DATA`.

KIND is `ours` (PATH is a bundle, read as the worker reads it) or `transformers` (PATH is a
directory with safetensors, read by Hugging Face's pipeline). Reads lines "begin end" from stdin,
answers those questions of the file, and writes a line with the seconds and the answers. So the
sides can take turns, each in an environment of its own, and memory is that of one side.
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

Read = Callable[[Sequence[Example]], dict[str, str]]

WARM_UP = 32


@contextmanager
def _ours(path: Path, threads: int, provider: str) -> Iterator[Read]:
    defaults = InferenceOptions(threads=threads, providers=(Provider(provider),))
    with InferenceEngine(open_bundle(path), defaults) as reader:

        def read(examples: Sequence[Example]) -> dict[str, str]:
            outcomes = map_ordered(reader, (example.event() for example in examples))
            return {
                example.id: outcome.answer
                for example, outcome in zip(examples, outcomes, strict=True)
                if isinstance(outcome, Answer)
            }

        yield read


@contextmanager
def _transformers(path: Path, threads: int, batch: int) -> Iterator[Read]:
    import torch
    from transformers import pipeline

    torch.set_num_threads(threads)
    answer = pipeline("question-answering", model=str(path), tokenizer=str(path), device="cpu")

    def read(examples: Sequence[Example]) -> dict[str, str]:
        asked = [{"question": each.question, "context": each.context} for each in examples]
        found = answer(asked, batch_size=batch)
        if isinstance(found, dict):
            found = [found]
        return {
            example.id: str(result["answer"])
            for example, result in zip(examples, found, strict=True)
        }

    yield read


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("ours", "transformers"))
    parser.add_argument("path", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--provider", default="cpu")
    parser.add_argument("--batch", type=int, default=1)
    arguments = parser.parse_args()
    examples = load_squad(arguments.data)
    opened = (
        _ours(arguments.path, arguments.threads, arguments.provider)
        if arguments.kind == "ours"
        else _transformers(arguments.path, arguments.threads, arguments.batch)
    )
    with opened as read:
        read(examples[:WARM_UP])
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            begin, end = map(int, line.split())
            began = time.perf_counter()
            answers = read(examples[begin:end])
            seconds = time.perf_counter() - began
            print(json.dumps({"seconds": seconds, "answers": answers}), flush=True)


if __name__ == "__main__":
    main()
