"""Compares precisions: `python -m tests.bench.precision MODEL_DIR DATA.json`.

MODEL_DIR has float32 weights (`model.safetensors`), configuration and tokenizer. This program
converts and quantizes them by every method, and runs each result in a separate process. The
processes take turns on chunks of the file, in alternating order, so that changes of the machine's
speed affect all of them. The table shows EM and F1, questions per second (the median of the chunks,
and the ratio to float32), size of the graph, peak memory, and whether the outputs of a window
depend on the other windows of its batch (measured on 200 windows).

`--base-size` uses random weights of DistilBERT-base's size, which measures speed only. OpenVINO and
transformers can be in other environments: `--openvino PYTHON` and `--transformers PYTHON` take the
interpreter of an environment that also has this package. Needs the extra `bench`.
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

CALIBRATION_WINDOWS = 48
"""Windows from which quantization ranges are measured."""
COMPARED_WINDOWS = 200
"""Windows that run alone and in batches."""
FLOAT32 = "float32"
BATCHES = (1, 8, 32)
"""Batch sizes of transformers' pipeline. Its documentation recommends to try several."""


@dataclass
class Competitor:
    """A precision or library under measurement, in its process (`competitor_process.py`)."""

    name: str
    command: Sequence[str]
    bundle: Bundle | None = None
    answers: dict[str, str] = field(default_factory=dict)
    """Best answers by question id."""
    rates: list[float] = field(default_factory=list)
    """Questions per second of each chunk."""
    peak_mib: float = 0.0

    def start(self) -> None:
        """Starts the process and waits until it is ready. Raises `SystemExit` if it ends."""
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self._line() != "ready":
            raise SystemExit(f"{self.name} does not start")

    def run(self, begin: int, end: int) -> None:
        """Answers the questions from `begin` to `end` (exclusive), and adds the results."""
        assert self.process.stdin
        print(begin, end, file=self.process.stdin, flush=True)
        result = self._line()
        assert isinstance(result, dict)
        self.answers.update(result["answers"])
        self.rates.append((end - begin) / result["seconds"])
        self.peak_mib = peak_rss_mib(self.process.pid)

    def stop(self) -> None:
        """Ends the process and waits for its end."""
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
        competitors = _competitors(source, directory, examples, arguments, threads)
        for competitor in competitors:
            competitor.start()
        _take_turns(competitors, len(examples), arguments.chunks)
        for competitor in competitors:
            competitor.stop()
        table = _table(competitors, examples, scored=not arguments.base_size)
    Console(width=150).print(table)


def _competitors(
    source: Path,
    scratch: Path,
    examples: Sequence[Example],
    arguments: argparse.Namespace,
    threads: int,
) -> list[Competitor]:
    plain = _bundle(
        source, scratch / FLOAT32, lambda path: onnx.save(convert_directory(source), path)
    )
    windows = _windows(plain, examples)[:CALIBRATION_WINDOWS]
    graph = plain.model_file
    methods: dict[str, Callable[[Path], None]] = {
        "int8 per token": lambda path: quantize_file(graph, path, Method.PER_TOKEN),
        "int8 dynamic": lambda path: quantize_file(graph, path, Method.DYNAMIC),
        "int8 dynamic, smoothed": lambda path: smoothed(graph, path, windows, static=False),
        "int8 static, smoothed": lambda path: smoothed(graph, path, windows, static=True),
        "8 bits in blocks": lambda path: blocks(graph, path),
    }
    bundles = {FLOAT32: plain}
    for name, write in methods.items():
        bundles[name] = _bundle(source, scratch / name.replace(" ", "-").replace(",", ""), write)

    def command(python: str, kind: str, path: Path, *options: str) -> list[str]:
        base = [
            python,
            "-m",
            "tests.bench.competitor_process",
            kind,
            str(path),
            str(arguments.data),
        ]
        return [*base, "--threads", str(threads), *options]

    competitors = [
        Competitor(name, command(sys.executable, "worker", bundle.directory), bundle)
        for name, bundle in bundles.items()
    ]
    if arguments.openvino:
        run = command(arguments.openvino, "worker", plain.directory, "--provider", "openvino")
        competitors.append(Competitor("float32 in OpenVINO", run))
    if arguments.transformers:
        for batch in BATCHES:
            run = command(arguments.transformers, "transformers", source, "--batch", str(batch))
            competitors.append(Competitor(f"transformers, batches of {batch}", run))
    return competitors


def _take_turns(competitors: Sequence[Competitor], questions: int, chunks: int) -> None:
    bounds = [questions * chunk // chunks for chunk in range(chunks + 1)]
    with progress() as bar:
        task = bar.add_task("chunks", total=chunks * len(competitors), speed="")
        for number, (begin, end) in enumerate(pairwise(bounds)):
            for competitor in competitors if number % 2 == 0 else reversed(competitors):
                competitor.run(begin, end)
                bar.advance(task)


def _table(competitors: Sequence[Competitor], examples: list[Example], *, scored: bool) -> Table:
    plain = competitors[0]
    best = score(examples, plain.answers)
    table = Table(title=f"{len(examples)} questions in {len(plain.rates)} chunks, in turns")
    table.add_column("precision")
    for heading in ("EM", "F1", "F1 lost") if scored else ():
        table.add_column(heading, justify="right")
    for heading in ("questions/s", "ratio to float32", "MB", "peak, MiB"):
        table.add_column(heading, justify="right")
    table.add_column("alone against in batches")
    for competitor in competitors:
        ratios = [rate / base for rate, base in zip(competitor.rates, plain.rates, strict=True)]
        row = [competitor.name]
        if scored:
            row += _scored(score(examples, competitor.answers), best)
        row += [
            f"{median(competitor.rates):.1f}",
            f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
            f"{competitor.bundle.model_file.stat().st_size / 1e6:.1f}" if competitor.bundle else "",
            f"{competitor.peak_mib:.0f}",
            _invariance(competitor.bundle, examples) if competitor.bundle else "",
        ]
        table.add_row(*row)
    return table


def _scored(scores: EvaluationResult, best: EvaluationResult) -> list[str]:
    return [f"{scores.exact_match:.2f}", f"{scores.f1:.2f}", f"{best.f1 - scores.f1:.2f}"]


def _invariance(bundle: Bundle, examples: Sequence[Example]) -> str:
    reader = UnbatchedReader(bundle, InferenceOptions(threads=1, no_answer=False))
    windows = _windows(bundle, examples)[:COMPARED_WINDOWS]
    difference = batch_difference(reader.session, windows)
    return f"differ by up to {difference:.2g}" if difference else "bit-equal"


def _windows(bundle: Bundle, examples: Sequence[Example]) -> list[Window]:
    """Returns the windows of questions spread over the file, at least `COMPARED_WINDOWS`."""
    reader = UnbatchedReader(bundle, InferenceOptions(threads=1, no_answer=False))
    step = max(1, len(examples) // COMPARED_WINDOWS)
    windows = []
    for example in examples[::step]:
        event = example.event()
        if not isinstance(event, Rejected):
            windows += reader.cut(event)
    return windows


def _bundle(source: Path, directory: Path, write_model: Callable[[Path], None]) -> Bundle:
    """Creates a bundle with the model that `write_model` writes, and opens it."""
    directory.mkdir()
    write_model(directory / MODEL)
    for name in (CONFIG, TOKENIZER):
        shutil.copyfile(source / name, directory / name)
    write_manifest(directory, Provenance(name=directory.name))
    return try_bundle(directory)


def _base_size(directory: Path) -> Path:
    """Writes random weights with the tokenizer of the default model."""
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
    parser.add_argument("--chunks", type=int, default=10)
    parser.add_argument("--openvino", metavar="PYTHON")
    parser.add_argument("--transformers", metavar="PYTHON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
