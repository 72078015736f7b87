"""What each precision costs and gives: `python -m tests.bench.precision MODEL_DIR DATA.json`.

MODEL_DIR holds float32 weights (`model.safetensors`) with configuration and tokenizer. They are
converted, quantized by every method, and read by one process for each, in turns on pieces of the
file, in alternating order, so that the machine's moods hit all alike. Shown: EM and F1, questions
a second (the median of the pieces, and as a share of float32's), size of the graph, peak memory,
and whether windows of a batch leave each other alone (measured on 200 windows).

`--base-size` takes random weights of DistilBERT-base's size instead: speed alone. OpenVINO and
transformers may live in other environments: `--openvino PYTHON`, `--transformers PYTHON`, each an
interpreter that has this package, too. Needs the extra `bench`.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

import onnx
from rich.console import Console
from rich.table import Table
from safetensors.numpy import save_file

from schemas.rejection import Rejected
from tests.bench.other_methods import blocks, smoothed
from tests.bench.process import peak_rss_mib
from tests.model_tools.random_weights import DISTILBERT_BASE, random_weights
from worker.cli.terminal import progress
from worker.inference.cpu_quota import available_cores
from worker.inference.options import InferenceOptions
from worker.inference.window import Window
from worker.model_tools.build import try_bundle
from worker.model_tools.convert.convert import WEIGHTS, convert_directory
from worker.model_tools.evaluation.compare import batch_difference
from worker.model_tools.evaluation.squad import EvaluationResult, Example, load_squad, score
from worker.model_tools.evaluation.unbatched import UnbatchedReader
from worker.model_tools.manifest_writer import Provenance, write_manifest
from worker.model_tools.quantize.quantize import Method, quantize_file
from worker.models.bundle import DEFAULT_BUNDLE, Bundle
from worker.models.manifest import CONFIG, MODEL, TOKENIZER

CALIBRATING = 48
MEASURED = 200
"""Windows: that ranges are taken from, and that are read alone and in batches."""
FLOAT32 = "float32"
BATCHES = (1, 8, 32)
"""Of transformers' pipeline, which says that it depends."""


@dataclass
class Side:
    """A reader in its process."""

    name: str
    command: Sequence[str]
    bundle: Bundle | None = None
    answers: dict[str, str] = field(default_factory=dict)
    speeds: list[float] = field(default_factory=list)
    """Questions a second, by piece."""
    peak_mib: float = 0.0

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self._line() != "ready":
            raise SystemExit(f"{self.name} does not start")

    def read(self, begin: int, end: int) -> None:
        assert self.process.stdin
        print(begin, end, file=self.process.stdin, flush=True)
        done = self._line()
        assert isinstance(done, dict)
        self.answers.update(done["answers"])
        self.speeds.append((end - begin) / done["seconds"])
        self.peak_mib = peak_rss_mib(self.process.pid)

    def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()

    def _line(self) -> object:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with {self.process.wait()}")
        return json.loads(line)


def main() -> None:
    arguments = _arguments()
    threads = available_cores()
    examples = load_squad(arguments.data)[: arguments.questions]
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        source = _base_size(directory / "base") if arguments.base_size else arguments.model
        sides = _sides(source, directory, examples, arguments, threads)
        for side in sides:
            side.start()
        _take_turns(sides, len(examples), arguments.pieces)
        for side in sides:
            side.stop()
        table = _table(sides, examples, scored=not arguments.base_size)
    Console(width=150).print(table)


def _sides(
    source: Path,
    scratch: Path,
    examples: Sequence[Example],
    arguments: argparse.Namespace,
    threads: int,
) -> list[Side]:
    plain = _bundle(
        source, scratch / FLOAT32, lambda path: onnx.save(convert_directory(source), path)
    )
    windows = _windows(plain, examples)[:CALIBRATING]
    graph = plain.model_file
    made: dict[str, Callable[[Path], None]] = {
        "int8 per token": lambda path: quantize_file(graph, path, Method.PER_TOKEN),
        "int8 dynamic": lambda path: quantize_file(graph, path, Method.DYNAMIC),
        "int8 dynamic, smoothed": lambda path: smoothed(graph, path, windows, static=False),
        "int8 static, smoothed": lambda path: smoothed(graph, path, windows, static=True),
        "8 bits in blocks": lambda path: blocks(graph, path),
    }
    bundles = {FLOAT32: plain}
    for name, make in made.items():
        bundles[name] = _bundle(source, scratch / name.replace(" ", "-").replace(",", ""), make)

    def command(python: str, kind: str, path: Path, *more: str) -> list[str]:
        base = [python, "-m", "tests.bench.side", kind, str(path), str(arguments.data)]
        return [*base, "--threads", str(threads), *more]

    sides = [
        Side(name, command(sys.executable, "ours", bundle.directory), bundle)
        for name, bundle in bundles.items()
    ]
    if arguments.openvino:
        run = command(arguments.openvino, "ours", plain.directory, "--provider", "openvino")
        sides.append(Side("float32 in OpenVINO", run))
    if arguments.transformers:
        for batch in BATCHES:
            run = command(arguments.transformers, "transformers", source, "--batch", str(batch))
            sides.append(Side(f"transformers, batches of {batch}", run))
    return sides


def _take_turns(sides: Sequence[Side], questions: int, pieces: int) -> None:
    edges = [questions * piece // pieces for piece in range(pieces + 1)]
    with progress() as bar:
        task = bar.add_task("pieces", total=pieces * len(sides), speed="")
        for number, (begin, end) in enumerate(pairwise(edges)):
            for side in sides if number % 2 == 0 else reversed(sides):
                side.read(begin, end)
                bar.advance(task)


def _table(sides: Sequence[Side], examples: list[Example], *, scored: bool) -> Table:
    plain = sides[0]
    best = score(examples, plain.answers)
    table = Table(title=f"{len(examples)} questions in {len(plain.speeds)} pieces, side by side")
    table.add_column("precision")
    for heading in ("EM", "F1", "F1 lost") if scored else ():
        table.add_column(heading, justify="right")
    for heading in ("questions/s", "of float32", "MB", "peak, MiB"):
        table.add_column(heading, justify="right")
    table.add_column("alone and in batches")
    for side in sides:
        shares = [one / other for one, other in zip(side.speeds, plain.speeds, strict=True)]
        row = [side.name]
        if scored:
            row += _scored(score(examples, side.answers), best)
        row += [
            f"{median(side.speeds):.1f}",
            f"{median(shares):.2f} ({min(shares):.2f}-{max(shares):.2f})",
            f"{side.bundle.model_file.stat().st_size / 1e6:.1f}" if side.bundle else "",
            f"{side.peak_mib:.0f}",
            _invariance(side.bundle, examples) if side.bundle else "",
        ]
        table.add_row(*row)
    return table


def _scored(scores: EvaluationResult, best: EvaluationResult) -> list[str]:
    return [f"{scores.exact_match:.2f}", f"{scores.f1:.2f}", f"{best.f1 - scores.f1:.2f}"]


def _invariance(bundle: Bundle, examples: Sequence[Example]) -> str:
    reader = UnbatchedReader(bundle, InferenceOptions(threads=1))
    windows = _windows(bundle, examples)[:MEASURED]
    difference = batch_difference(reader.session, windows)
    return f"differ by up to {difference:.2g}" if difference else "bit-equal"


def _windows(bundle: Bundle, examples: Sequence[Example]) -> list[Window]:
    """Of questions spread over the file, more than enough of them."""
    reader = UnbatchedReader(bundle, InferenceOptions(threads=1))
    step = max(1, len(examples) // MEASURED)
    windows = []
    for example in examples[::step]:
        event = example.event()
        if not isinstance(event, Rejected):
            windows += reader.cut(event)
    return windows


def _bundle(source: Path, directory: Path, make: Callable[[Path], None]) -> Bundle:
    directory.mkdir()
    make(directory / MODEL)
    for name in (CONFIG, TOKENIZER):
        shutil.copyfile(source / name, directory / name)
    write_manifest(directory, Provenance(name=directory.name))
    return try_bundle(directory)


def _base_size(directory: Path) -> Path:
    """Random weights, with the words of the default model."""
    directory.mkdir()
    save_file(random_weights(DISTILBERT_BASE), directory / WEIGHTS)
    config = dict(DISTILBERT_BASE, architectures=["DistilBertForQuestionAnswering"])
    (directory / CONFIG).write_text(json.dumps(config))
    for name in (TOKENIZER, "vocab.txt"):
        shutil.copyfile(DEFAULT_BUNDLE / name, directory / name)
    return directory


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--base-size", action="store_true")
    parser.add_argument("--questions", type=int)
    parser.add_argument("--pieces", type=int, default=10)
    parser.add_argument("--openvino", metavar="PYTHON")
    parser.add_argument("--transformers", metavar="PYTHON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
