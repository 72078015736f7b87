"""Compares the outputs of converted weights with torch's.

`python -m tests.parity.converted DIR SQUAD.json` converts DIR's `model.safetensors` and splits
questions of the file into windows. It runs the graph with onnxruntime, and the weights with
transformers (eager attention, float32), on the same arrays: one window in each batch, then padded
batches. The exit code is 1 above `LIMIT`. Needs `make parity`, and a tokenizer.json in DIR.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
import transformers
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.parity.worker_logits import fp32_bundle
from worker.inference.onnx_session import OUTPUTS
from worker.inference.question_answering.windows import Windower
from worker.inference.window import Window
from worker.model_tools.evaluation.squad import Example, load_squad
from worker.models.bundle import Bundle
from worker.models.manifest import Task

LIMIT = 1e-4
"""Maximum difference of one output. Another order of float32 sums changes an output by less; a
wrong node in the graph by far more."""

BATCH = 8

Inputs = Mapping[str, NDArray[np.int64]]
Outputs = Sequence[NDArray[np.float32]]
Model = Callable[[Inputs], Outputs]


@dataclass(slots=True)
class Differences:
    """Statistics of the differences between the outputs of onnxruntime and torch."""

    windows: int = 0
    numbers: int = 0
    """Number of compared outputs."""
    total: float = 0.0
    """Sum of the absolute differences."""
    largest: float = 0.0
    magnitude: float = 0.0
    """The largest absolute output of torch."""

    def add(self, onnx_outputs: Outputs, torch_outputs: Outputs, mask: NDArray[np.int64]) -> None:
        """Adds the outputs of a batch: (batch, sequence) or (batch, sequence, width).

        Outputs at padding are ignored. Raises `SystemExit` if shapes differ.
        """
        self.windows += len(mask)
        for actual, expected in zip(onnx_outputs, torch_outputs, strict=True):
            if actual.shape != expected.shape:
                raise SystemExit(f"shapes differ: {actual.shape} and torch's {expected.shape}")
            not_padding = mask == 1
            difference = np.abs(actual[not_padding].astype(np.float64) - expected[not_padding])
            self.numbers += difference.size
            self.total += float(difference.sum())
            # np.maximum propagates a NaN, which `max` could drop.
            self.largest = float(np.maximum(self.largest, difference.max()))
            self.magnitude = max(self.magnitude, float(np.abs(expected[not_padding]).max()))

    @property
    def mean(self) -> float:
        """The mean absolute difference."""
        return self.total / self.numbers


def open_onnx_model(bundle: Bundle) -> Model:
    """Returns a function that runs the bundle's graph."""
    session = ort.InferenceSession(bundle.model_file, providers=["CPUExecutionProvider"])
    names = list(OUTPUTS[bundle.manifest.task])

    def run(inputs: Inputs) -> Outputs:
        outputs: Outputs = session.run(names, dict(inputs))
        return outputs

    return run


def open_torch_model(source: Path, task: Task) -> Model:
    """Returns a function that runs the weights with transformers."""
    model_class = (
        transformers.AutoModelForQuestionAnswering
        if task is Task.QUESTION_ANSWERING
        else transformers.AutoModel
    )
    model = model_class.from_pretrained(source, attn_implementation="eager", dtype=torch.float32)
    model.eval()

    def run(inputs: Inputs) -> Outputs:
        with torch.inference_mode():
            outputs = model(**{name: torch.from_numpy(array) for name, array in inputs.items()})
        return [outputs[name].numpy() for name in OUTPUTS[task]]

    return run


def windows_of(examples: Sequence[Example], bundle: Bundle) -> Iterator[Window]:
    """Yields the worker's windows of the examples."""
    limit = bundle.manifest.max_tokens
    windower = Windower(bundle, max_tokens=limit)
    for example in examples:
        question = windower.tokenize_question(example.question, max_tokens=limit // 2)
        context = windower.tokenize_context(example.context)
        yield from windower.split(question, context, stride=128, max_windows=1000)


def padded(windows: Sequence[Window], bundle: Bundle) -> Inputs:
    """Returns the graph's inputs, (len(windows), longest), padded on the right."""
    longest = max(map(len, windows))
    pad = bundle.manifest.pad_token_id
    rows: dict[str, list[NDArray[np.int64]]] = {
        "input_ids": [_fill(window.ids, longest, pad) for window in windows],
        "token_type_ids": [_fill(window.types, longest, 0) for window in windows],
        "attention_mask": [_fill(np.ones_like(window.ids), longest, 0) for window in windows],
    }
    return {name: np.stack(rows[name]) for name in bundle.manifest.inputs}


def _fill(values: NDArray[np.int64], length: int, pad: int) -> NDArray[np.int64]:
    return np.pad(values, (0, length - len(values)), constant_values=pad)


def compare(
    onnx_model: Model,
    torch_model: Model,
    batches: Sequence[Inputs],
    description: str,
    console: Console,
) -> Differences:
    """Runs both models on the batches, with a progress bar."""
    differences = Differences()
    for inputs in track(batches, description, console=console, transient=True):
        differences.add(onnx_model(inputs), torch_model(inputs), inputs["attention_mask"])
    return differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="config.json, model.safetensors, tokenizer.json")
    parser.add_argument("file", type=Path, help="questions in SQuAD's format")
    parser.add_argument("--questions", type=int, default=500, help="number, spread over the file")
    arguments = parser.parse_args()
    examples = load_squad(arguments.file)
    examples = examples[:: max(1, len(examples) // arguments.questions)][: arguments.questions]
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        bundle = fp32_bundle(arguments.model, Path(scratch))
        onnx_model = open_onnx_model(bundle)
        torch_model = open_torch_model(arguments.model, bundle.manifest.task)
        windows = list(windows_of(examples, bundle))
        table = Table(
            title=f"{bundle.manifest.task}, {len(examples)} questions: onnxruntime "
            f"{ort.__version__} and torch {torch.__version__} "
            f"(transformers {transformers.__version__})"
        )
        for heading in ("windows", "number", "largest difference", "mean", "largest output"):
            table.add_column(heading, justify="left" if heading == "windows" else "right")
        results = []
        for name, size in (("one in each batch", 1), (f"in padded batches of {BATCH}", BATCH)):
            batches = [
                padded(windows[first : first + size], bundle)
                for first in range(0, len(windows), size)
            ]
            result = compare(onnx_model, torch_model, batches, name, console)
            results.append(result)
            table.add_row(
                name,
                f"{result.windows:,}",
                f"{result.largest:.2e}",
                f"{result.mean:.2e}",
                f"{result.magnitude:.2f}",
            )
    console.print(table)
    # Written so that a NaN fails.
    if not all(result.largest <= LIMIT for result in results):
        sys.exit(f"a difference is above {LIMIT}")


if __name__ == "__main__":
    main()
