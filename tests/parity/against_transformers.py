"""Our reader beside Hugging Face's pipeline, each difference classed and counted.

`python -m tests.parity.against_transformers DATA.json --model DIR`: every question of a SQuAD file
is read by both with the same float32 weights, DIR's `model.safetensors`. The pipeline's results are
kept in a file, so that only the first run needs transformers and torch (`make parity`). Ends
with 1 where a difference is left unexplained.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.parity.against_transformers_reader import OurReader, OurReading, fp32_bundle
from tests.parity.against_transformers_table import Tally, print_tables
from tests.parity.classes_explained import judge
from tests.parity.reference import Emulation, Logits, Model
from tests.parity.reference_results import (
    Reading,
    ResultsError,
    Setting,
    drop_torn_line,
    read_origin,
    readings,
)
from tests.parity.reference_windows import Encoder, TokenWindow
from worker.cli.terminal import progress
from worker.model_tools.evaluation.squad import Example, load_squad

MAX_SEQ_LEN, DOC_STRIDE = 384, 128
"""The pipeline's own defaults."""

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
            raise ResultsError(f"{results} was made with other weights; remove it")
    except ResultsError as error:
        sys.exit(str(error))
    with tempfile.TemporaryDirectory() as scratch:
        reader = OurReader(
            fp32_bundle(arguments.model, Path(scratch)),
            max_tokens=MAX_SEQ_LEN,
            stride=DOC_STRIDE,
            threads=arguments.threads,
        )
        tallies = compare(
            reader,
            Encoder(
                arguments.model / "tokenizer.json", max_seq_len=MAX_SEQ_LEN, doc_stride=DOC_STRIDE
            ),
            {example.id: example for example in examples},
            results,
            arguments.threads,
        )
    print_tables(tallies, examples)
    if any(tally.unexplained for tally in tallies):
        sys.exit("differences are left unexplained")


def complete(results: Path, examples: Sequence[Example], model: Path, threads: int) -> None:
    """Let the pipeline read what its file of results lacks. Raises `ResultsError`."""
    known: set[str] = set()
    if results.exists():
        drop_torn_line(results)
        known = {reading.id for reading in readings(results)}
    missing = [example for example in examples if example.id not in known]
    if not missing:
        return
    try:
        from tests.parity.reference_pipeline import Oracle, append_results, use_threads
    except ImportError as error:
        raise ResultsError(
            f"{results} lacks {len(missing)} questions; run this with `make parity`, which "
            f"installs transformers and torch: {error}"
        ) from None
    use_threads(threads)
    results.parent.mkdir(parents=True, exist_ok=True)
    oracle = Oracle(model, max_seq_len=MAX_SEQ_LEN, doc_stride=DOC_STRIDE)
    with progress() as bar:
        task = bar.add_task("the pipeline reads", total=len(missing), speed="")
        append_results(oracle, results, missing, SETTINGS, partial(bar.advance, task))


def compare(
    reader: OurReader,
    encoder: Encoder,
    examples: dict[str, Example],
    results: Path,
    threads: int,
) -> list[Tally]:
    """One tally for each setting, over the questions that are in both."""
    tallies = [Tally(setting) for setting in SETTINGS]
    theirs = [reading for reading in readings(results) if reading.id in examples]
    with ThreadPoolExecutor(threads) as pool, progress() as bar:
        task = bar.add_task("our reader reads", total=len(theirs), speed="")
        ours = pool.map(reader.read, (examples[reading.id] for reading in theirs))
        for reading, our_reading in zip(theirs, ours, strict=True):
            example = examples[reading.id]
            emulation = Emulation(
                encoder,
                example.question,
                example.context,
                ours=_our_logits(our_reading, reader),
                theirs=_their_logits(reading, reader),
            )
            for tally in tallies:
                mine = None if our_reading is None else our_reading.outcome(tally.setting)
                its = reading.found[tally.setting.name]
                verdict = judge(mine, its, partial(emulation, tally.setting))
                tally.add(example.id, len(reading.windows), mine, its, verdict)
            bar.advance(task)
    return tallies


def _our_logits(read: OurReading | None, reader: OurReader) -> Model:
    known = {
        tuple(window.ids.tolist()): (start, end)
        for window, start, end in (read.read if read else ())
    }
    return partial(_logits, known, reader)


def _their_logits(reading: Reading, reader: OurReader) -> Model:
    known = {tuple(window.ids.tolist()): (window.start, window.end) for window in reading.windows}
    return partial(_logits, known, reader)


def _logits(known: dict[tuple[int, ...], Logits], reader: OurReader, window: TokenWindow) -> Logits:
    """What was read already, else read now: switches may cut other windows."""
    return known.get(tuple(window.ids.tolist())) or reader.logits(window)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="questions in SQuAD's format")
    parser.add_argument(
        "--model",
        type=Path,
        required=True,
        help="a directory with config.json, tokenizer.json and model.safetensors",
    )
    parser.add_argument("--questions", type=int, help="only the first so many")
    parser.add_argument(
        "--reference", type=Path, help="the pipeline's results (default: build/parity/DATA.jsonl)"
    )
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
