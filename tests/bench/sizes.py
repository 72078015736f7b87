"""Converts and runs models of real sizes with windows of 512 tokens: `python -m tests.bench.sizes`.

Writes random weights of DistilBERT-base's and of multilingual BERT-base's size as safetensors,
converts them and runs two questions: one with a window of 512 tokens, whose answer is compared with
an independent computation, and one with several windows. The table shows millions of parameters,
size of the graph, seconds to write and convert it, shape of a window's logits, number of windows of
the second question, duration of a run of 512 tokens, and peak memory. Needs 4 GB of memory, 2 GB of
disk, and the extra `bench`.
"""

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.model_tools.random_weights import BERT_BASE_MULTILINGUAL, DISTILBERT_BASE, Config
from tests.model_tools.word_models import (
    QUESTION_WORDS,
    Words,
    random_words,
    spread_weights,
    word_bundle,
)
from worker.inference.engine import InferenceEngine
from worker.inference.onnx_session import OnnxSession, SessionOptions
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.windows import SPECIAL_TOKENS, Windower
from worker.models.bundle import Bundle

SIZES = {"DistilBERT-base": DISTILBERT_BASE, "BERT-base, multilingual": BERT_BASE_MULTILINGUAL}

LENGTH = 512
REPEATS = 5


def measure_size(name: str, config: Config, directory: Path) -> tuple[str, ...]:
    """Returns a row of the table. Raises `SystemExit` if an answer is wrong."""
    weights = spread_weights(config)
    parameters = sum(array.size for array in weights.values())
    began = time.perf_counter()
    bundle = word_bundle(directory, config, weights)
    write_seconds = time.perf_counter() - began
    del weights
    defaults = InferenceOptions(threads=1)
    capacity = LENGTH - QUESTION_WORDS - SPECIAL_TOKENS
    with InferenceEngine(bundle, defaults) as engine:
        one_window = random_words(config, capacity)
        answer = engine.submit(one_window.event).result().outcome
        expected = one_window.best_span(bundle, max_words=defaults.max_answer_tokens)
        if (answer.windows, answer.start, answer.end) != (1, *expected):
            raise SystemExit(f"{name}: the answer is {answer}, expected {expected}")
        three_windows = random_words(config, capacity + 2 * (capacity - defaults.doc_stride))
        answer = engine.submit(three_windows.event).result().outcome
        spans = three_windows.spans(max_words=defaults.max_answer_tokens)
        if answer.windows != 3 or (answer.start, answer.end) not in spans:
            raise SystemExit(f"{name}: the answer in three windows is {answer}")
    shape, seconds = run_window(bundle, one_window)
    return (
        name,
        f"{parameters / 1e6:.1f}",
        f"{bundle.model_file.stat().st_size / 1e6:.0f}",
        f"{write_seconds:.1f}",
        f"{shape}",
        f"{answer.windows}",
        f"{seconds * 1e3:.0f}",
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f}",
    )


def run_window(bundle: Bundle, words: Words) -> tuple[tuple[int, ...], float]:
    """Returns the shape of the logits of a 512-token window, and the median seconds of a run."""
    windower = Windower(bundle, max_tokens=LENGTH)
    question = windower.tokenize_question(words.event.question, max_tokens=LENGTH)
    context = windower.tokenize_context(words.event.passages[0].text)
    (window,) = windower.split(question, context, stride=128, max_windows=1)
    session = OnnxSession(bundle, SessionOptions())
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        ((starts, ends),) = session.run([window])
        times.append(time.perf_counter() - began)
    if len(window) != LENGTH or starts.shape != ends.shape:
        raise SystemExit(f"{len(window)} tokens gave logits of {starts.shape} and {ends.shape}")
    return starts.shape, float(np.median(times))


def main() -> None:
    table = Table(title="converted from random weights, float32, one thread")
    for heading in ("size", "M", "MB", "written in, s", "logits", "windows", "run, ms", "peak, GB"):
        table.add_column(heading, justify="left" if heading == "size" else "right")
    # The smaller model comes first: the peak is that of the process so far.
    for name, config in SIZES.items():
        with tempfile.TemporaryDirectory() as scratch:
            table.add_row(*measure_size(name, config, Path(scratch)))
    Console().print(table)


if __name__ == "__main__":
    main()
