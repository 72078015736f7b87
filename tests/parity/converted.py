"""How far converted weights are from torch: `python -m tests.parity.converted DIR SQUAD.json`.

Converts DIR's `model.safetensors`, cuts questions of the file into windows, and runs the
graph with onnxruntime and the weights with transformers (eager attention, float32) on the same
arrays: each window alone, then all of them in padded batches. Ends with 1 above the limit. Needs
`make parity`; DIR needs a tokenizer.json.
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

from tests.parity.against_transformers_reader import fp32_bundle
from worker.inference.onnx_session import OUTPUTS
from worker.inference.question_answering.windows import Windower
from worker.inference.window import Window
from worker.model_tools.evaluation.squad import Example, load_squad
from worker.models.bundle import Bundle
from worker.models.manifest import Task

LIMIT = 1e-4
"""Of one output. float32 sums in another order differ by less; a wrong node by far more."""

BATCH = 8

Inputs = Mapping[str, NDArray[np.int64]]
Outputs = Sequence[NDArray[np.float32]]
Model = Callable[[Inputs], Outputs]


@dataclass(slots=True)
class Differences:
    """Between two models' outputs, over everything that was added."""

    windows: int = 0
    numbers: int = 0
    total: float = 0.0
    largest: float = 0.0
    magnitude: float = 0.0
    """The largest of the reference's own outputs."""

    def add(self, ours: Outputs, theirs: Outputs, mask: NDArray[np.int64]) -> None:
        """Outputs are (batch, sequence) or (batch, sequence, width); padding does not count."""
        self.windows += len(mask)
        for one, other in zip(ours, theirs, strict=True):
            if one.shape != other.shape:
                raise SystemExit(f"shapes differ: {one.shape} and torch's {other.shape}")
            seen = mask == 1
            difference = np.abs(one[seen].astype(np.float64) - other[seen])
            self.numbers += difference.size
            self.total += float(difference.sum())
            # A NaN must not pass as "not larger".
            self.largest = float(np.maximum(self.largest, difference.max()))
            self.magnitude = max(self.magnitude, float(np.abs(other[seen]).max()))

    @property
    def mean(self) -> float:
        return self.total / self.numbers


def open_ours(bundle: Bundle) -> Model:
    session = ort.InferenceSession(bundle.model_file, providers=["CPUExecutionProvider"])
    names = list(OUTPUTS[bundle.manifest.task])

    def run(inputs: Inputs) -> Outputs:
        outputs: Outputs = session.run(names, dict(inputs))
        return outputs

    return run


def open_theirs(source: Path, task: Task) -> Model:
    kind = (
        transformers.AutoModelForQuestionAnswering
        if task is Task.QUESTION_ANSWERING
        else transformers.AutoModel
    )
    model = kind.from_pretrained(source, attn_implementation="eager", dtype=torch.float32)
    model.eval()

    def run(inputs: Inputs) -> Outputs:
        with torch.inference_mode():
            outputs = model(**{name: torch.from_numpy(array) for name, array in inputs.items()})
        return [outputs[name].numpy() for name in OUTPUTS[task]]

    return run


def windows_of(examples: Sequence[Example], bundle: Bundle) -> Iterator[Window]:
    limit = bundle.manifest.max_tokens
    windower = Windower(bundle, max_tokens=limit)
    for example in examples:
        question = windower.tokenize_question(example.question, max_tokens=limit // 2)
        context = windower.tokenize_context(example.context)
        yield from windower.split(question, context, stride=128, max_windows=1000)


def padded(windows: Sequence[Window], bundle: Bundle) -> Inputs:
    """The graph's inputs, (len(windows), longest), padded on the right."""
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
    ours: Model, theirs: Model, batches: Sequence[Inputs], description: str, console: Console
) -> Differences:
    differences = Differences()
    for inputs in track(batches, description, console=console, transient=True):
        differences.add(ours(inputs), theirs(inputs), inputs["attention_mask"])
    return differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="config.json, model.safetensors, tokenizer.json")
    parser.add_argument("file", type=Path, help="questions in SQuAD's format")
    parser.add_argument("--questions", type=int, default=500, help="spread over the file")
    arguments = parser.parse_args()
    examples = load_squad(arguments.file)
    examples = examples[:: max(1, len(examples) // arguments.questions)][: arguments.questions]
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        bundle = fp32_bundle(arguments.model, Path(scratch))
        ours, theirs = open_ours(bundle), open_theirs(arguments.model, bundle.manifest.task)
        windows = list(windows_of(examples, bundle))
        table = Table(
            title=f"{bundle.manifest.task}, {len(examples)} questions: onnxruntime "
            f"{ort.__version__} and torch {torch.__version__} "
            f"(transformers {transformers.__version__})"
        )
        for heading in ("windows", "number", "largest difference", "mean", "largest output"):
            table.add_column(heading, justify="left" if heading == "windows" else "right")
        found = []
        for name, size in (("alone", 1), (f"in padded batches of {BATCH}", BATCH)):
            batches = [
                padded(windows[first : first + size], bundle)
                for first in range(0, len(windows), size)
            ]
            one = compare(ours, theirs, batches, name, console)
            found.append(one)
            table.add_row(
                name,
                f"{one.windows:,}",
                f"{one.largest:.2e}",
                f"{one.mean:.2e}",
                f"{one.magnitude:.2f}",
            )
    console.print(table)
    # A NaN is not within the limit.
    if not all(one.largest <= LIMIT for one in found):
        sys.exit(f"a difference is above {LIMIT}")


if __name__ == "__main__":
    main()
