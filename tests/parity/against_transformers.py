"""Compares the worker with Hugging Face's pipeline, and counts the differences by class.

`python -m tests.parity.against_transformers DATA.json --model DIR`: both answer every question of a
SQuAD file with the same float32 weights, DIR's `model.safetensors`. A file keeps the pipeline's
results, so only the first run needs transformers and torch (`make parity`). The exit code is 1 if
a difference is unexplained.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.parity.difference_tables import DifferenceCounts, print_tables
from tests.parity.emulation import Emulation, Logits, Model
from tests.parity.emulation_windows import Encoder, TokenWindow
from tests.parity.explain import explain
from tests.parity.pipeline_results import (
    PipelineResult,
    ResultsError,
    Setting,
    drop_incomplete_line,
    read_origin,
    read_results,
)
from tests.parity.worker_logits import WorkerLogits, WorkerModel, fp32_bundle
from worker.cli.terminal import progress
from worker.model_tools.evaluation.squad import Example, load_squad

MAX_SEQ_LEN, DOC_STRIDE = 384, 128
"""The defaults of the pipeline, in tokens."""

SETTINGS = (
    Setting("pipeline"),
    Setting("top_5", top_k=5),
    Setting("no_answer", handle_impossible_answer=True),
    Setting("unaligned", align_to_words=False),
)


def main() -> None:
    arguments = _arguments()
    examples = load_squad(arguments.data)[: arguments.questions]
    results = arguments.reference or Path("build/parity", f"{arguments.data.stem}.jsonl")
    weights = hashlib.sha256((arguments.model / "model.safetensors").read_bytes()).hexdigest()
    try:
        complete(results, examples, arguments.model, arguments.threads)
        if read_origin(results).weights_sha256 != weights:
            raise ResultsError(f"{results} is from other weights: remove it and run again")
    except ResultsError as error:
        sys.exit(str(error))
    with tempfile.TemporaryDirectory() as scratch:
        worker = WorkerModel(
            fp32_bundle(arguments.model, Path(scratch)),
            max_tokens=MAX_SEQ_LEN,
            stride=DOC_STRIDE,
            threads=arguments.threads,
        )
        counts = compare(
            worker,
            Encoder(
                arguments.model / "tokenizer.json", max_seq_len=MAX_SEQ_LEN, doc_stride=DOC_STRIDE
            ),
            {example.id: example for example in examples},
            results,
            arguments.threads,
        )
    print_tables(counts, examples)
    if any(of_setting.unexplained_ids for of_setting in counts):
        sys.exit("some differences are unexplained")


def complete(results: Path, examples: Sequence[Example], model: Path, threads: int) -> None:
    """Runs the pipeline on the examples that the file of results lacks. Raises `ResultsError`."""
    done: set[str] = set()
    if results.exists():
        drop_incomplete_line(results)
        done = {result.id for result in read_results(results)}
    missing = [example for example in examples if example.id not in done]
    if not missing:
        return
    try:
        from tests.parity.pipeline import Pipeline, append_results, use_threads
    except ImportError as error:
        raise ResultsError(
            f"{results} lacks {len(missing)} questions; run this with `make parity`, which "
            f"installs transformers and torch: {error}"
        ) from None
    use_threads(threads)
    results.parent.mkdir(parents=True, exist_ok=True)
    pipeline = Pipeline(model, max_seq_len=MAX_SEQ_LEN, doc_stride=DOC_STRIDE)
    with progress() as bar:
        task = bar.add_task("running the pipeline", total=len(missing), speed="")
        append_results(pipeline, results, missing, SETTINGS, partial(bar.advance, task))


def compare(
    worker: WorkerModel,
    encoder: Encoder,
    examples: dict[str, Example],
    results: Path,
    threads: int,
) -> list[DifferenceCounts]:
    """Returns the counts of each setting, over the examples in the file of results."""
    counts = [DifferenceCounts(setting) for setting in SETTINGS]
    pipeline_results = [result for result in read_results(results) if result.id in examples]
    with ThreadPoolExecutor(threads) as pool, progress() as bar:
        task = bar.add_task("running the worker's model", total=len(pipeline_results), speed="")
        all_logits = pool.map(worker.run, (examples[result.id] for result in pipeline_results))
        for result, worker_logits in zip(pipeline_results, all_logits, strict=True):
            example = examples[result.id]
            emulation = Emulation(
                encoder,
                example.question,
                example.context,
                worker_model=_model_of_worker(worker_logits, worker),
                pipeline_model=_model_of_pipeline(result, worker),
            )
            for of_setting in counts:
                setting = of_setting.setting
                outcome = None if worker_logits is None else worker_logits.outcome(setting)
                pipeline_outcome = result.outcomes[setting.name]
                explanation = explain(outcome, pipeline_outcome, partial(emulation, setting))
                of_setting.add(
                    example.id, len(result.windows), outcome, pipeline_outcome, explanation
                )
            bar.advance(task)
    return counts


def _model_of_worker(logits: WorkerLogits | None, worker: WorkerModel) -> Model:
    known = {
        tuple(window.ids.tolist()): (start, end)
        for window, start, end in (logits.windows if logits else ())
    }
    return partial(_logits, known, worker)


def _model_of_pipeline(result: PipelineResult, worker: WorkerModel) -> Model:
    known = {tuple(window.ids.tolist()): (window.start, window.end) for window in result.windows}
    return partial(_logits, known, worker)


def _logits(
    known: dict[tuple[int, ...], Logits], worker: WorkerModel, window: TokenWindow
) -> Logits:
    """Returns known logits; runs the model on windows that only exist with other switches."""
    return known.get(tuple(window.ids.tolist())) or worker.logits(window)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="questions in SQuAD's format")
    parser.add_argument(
        "--model",
        type=Path,
        required=True,
        help="a directory with config.json, tokenizer.json and model.safetensors",
    )
    parser.add_argument("--questions", type=int, help="number of questions, from the first")
    parser.add_argument(
        "--reference", type=Path, help="the pipeline's results (default: build/parity/DATA.jsonl)"
    )
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
