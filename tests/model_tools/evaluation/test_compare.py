"""Figures of bundles: alone and in batches, and beside another."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from schemas.answer import Answer, ModelInfo
from schemas.embedding import Embedding
from schemas.event import Outcome
from schemas.rejection import Reason, Rejected
from tests.inference.bundles import SPECIALS
from tests.model_tools.int8_models import CONFIGS, POSITIONS, VOCABULARY, wide_weights
from tests.model_tools.word_models import random_words, word_bundle
from worker.inference.onnx_session import OnnxSession, Outputs, SessionOptions
from worker.inference.options import InferenceOptions
from worker.inference.window import Window
from worker.model_tools.build import quantize_bundle
from worker.model_tools.evaluation.compare import (
    BATCH,
    Comparison,
    batch_difference,
    output_difference,
)
from worker.model_tools.evaluation.unbatched import UnbatchedReader, UnbatchedResult
from worker.model_tools.manifest_writer import Provenance
from worker.model_tools.quantize.quantize import Method
from worker.models.bundle import Bundle, BundleError

MODEL = ModelInfo(name="x", revision=None, sha256="0" * 64, precision="int8", provider="cpu")


def floats(*rows: list[float]) -> Outputs:
    return tuple(np.array(row, np.float32) for row in rows)


def windows(*lengths: int) -> list[Window]:
    random = np.random.default_rng(0)
    return [
        Window(
            ids=random.integers(len(SPECIALS), VOCABULARY, length),
            types=np.zeros(length, np.int64),
            offset=1,
            first=0,
            count=length - 2,
        )
        for length in lengths
    ]


def answer(start: int, end: int, *, score: float = 0.5, passage: int = 0) -> Answer:
    return Answer(
        id="",
        answer="x" * (end - start),
        score=score,
        start=start,
        end=end,
        context_index=passage,
        answered=True,
        answers=[],
        model=MODEL,
        windows=1,
    )


def embedding(*numbers: float) -> Embedding:
    return Embedding(id="", embedding=list(numbers), dims=len(numbers), model=MODEL, windows=1)


def compared(*pairs: tuple[Outcome | Rejected, Outcome | Rejected]) -> Comparison:
    comparison = Comparison()
    for one, other in pairs:
        comparison.add(UnbatchedResult(one), UnbatchedResult(other))
    return comparison


# The largest difference.


def test_largest_difference_covers_all_outputs() -> None:
    one, other = floats([1, 2, 3], [4, 5]), floats([1, 2.5, 3], [4, 2])
    assert output_difference(one, other) == output_difference(other, one) == 3
    assert output_difference(floats([1, 2, 3]), floats([1, 2.5, 3])) == 0.5
    assert output_difference(one, one) == 0


def test_difference_of_empty_outputs_is_zero() -> None:
    assert output_difference(floats([]), floats([])) == output_difference((), ()) == 0


@pytest.mark.parametrize("place", [0, 1])
def test_nan_makes_the_difference_infinite(place: int) -> None:
    broken = floats([1, 2], [3, 4])
    broken[place][0] = np.nan
    whole = floats([1, 2], [3, 4])
    for pair in ((broken, whole), (whole, broken), (broken, broken)):
        assert output_difference(*pair) == math.inf


@pytest.mark.parametrize("other", [floats([1, 2, 3]), floats([1, 2], [3])], ids=["numbers", "all"])
def test_outputs_of_different_shapes_are_refused(other: Outputs) -> None:
    with pytest.raises(BundleError, match="cannot be compared"):
        output_difference(floats([1, 2]), other)


# Alone and in batches.


@pytest.fixture(scope="module", params=CONFIGS)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    config = CONFIGS[request.param]
    return word_bundle(tmp_path_factory.mktemp("float"), config, wide_weights(config))


def int8(bundle: Bundle, directory: Path, method: Method) -> Bundle:
    origin = Provenance.of(bundle.manifest, method)
    return quantize_bundle(bundle, directory / method, origin, method=method).bundle


def test_only_dynamic_quantization_depends_on_the_batch(tmp_path: Path, bundle: Bundle) -> None:
    mixed = windows(*range(8, POSITIONS, 5))
    per_token, dynamic = (
        OnnxSession(int8(bundle, tmp_path, method), SessionOptions())
        for method in (Method.PER_TOKEN, Method.DYNAMIC)
    )
    assert batch_difference(per_token, mixed) == 0
    assert batch_difference(dynamic, mixed) > 1e-3


class Watched(OnnxSession):
    """A session that remembers the lengths of what ran together."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, SessionOptions())
        self.runs: list[list[int]] = []

    def run(self, windows: Sequence[Window]) -> list[Outputs]:
        self.runs.append([len(window) for window in windows])
        return super().run(windows)


def test_every_window_runs_alone_and_in_a_mixed_batch(bundle: Bundle) -> None:
    session, lengths = Watched(bundle), list(range(8, 8 + 2 * BATCH + 1))
    assert batch_difference(session, windows(*lengths)) == 0
    batches = [run for run in session.runs if len(run) > 1]
    assert [len(run) for run in batches] == [BATCH, BATCH]
    together = [length for run in batches for length in run]
    assert together != sorted(together)
    # The one that is left over has its batch to itself.
    alone = [run[0] for run in session.runs if len(run) == 1]
    assert sorted(together + alone) == sorted(2 * lengths)
    assert batch_difference(session, []) == 0


# Beside another bundle.


def test_comparison_figures_match_a_hand_count() -> None:
    comparison = Comparison()
    first, second = windows(2, 3)
    comparison.add(
        UnbatchedResult(
            answer(0, 3), (first, second), (floats([1, 2], [3, 4]), floats([0] * 3, [0] * 3))
        ),
        UnbatchedResult(
            answer(0, 3, score=0.4),
            (first, second),
            (floats([1.25, 2.5], [3, 3]), floats([0] * 3, [0, 0, 0.5])),
        ),
    )
    comparison.add(
        UnbatchedResult(answer(0, 3), (first,), (floats([1, 1], [1, 1]),)),
        UnbatchedResult(answer(0, 2), (first,), (floats([1, 1], [1, 3]),)),
    )
    assert (comparison.events, comparison.equal, comparison.share_equal) == (2, 1, 0.5)
    assert (comparison.numbers, comparison.largest) == (14, 2)
    assert comparison.mean == (0.25 + 0.5 + 1 + 0.5 + 2) / 14


def test_empty_comparison_reports_equality() -> None:
    nothing = Comparison()
    assert (nothing.mean, nothing.share_equal, nothing.least_cosine) == (0, 1, 1)


def test_answers_are_equal_by_their_offsets() -> None:
    schema, too_long = Rejected(Reason.SCHEMA, "a"), Rejected(Reason.CONTEXT_TOO_LONG, "a")
    assert compared((answer(1, 3), answer(1, 3, score=0.1))).equal == 1
    assert compared((answer(1, 3), answer(2, 3)), (answer(1, 3), answer(1, 4))).equal == 0
    assert compared((answer(1, 3), answer(1, 3, passage=1))).equal == 0
    assert compared((schema, Rejected(Reason.SCHEMA, "b"))).equal == 1
    assert compared((schema, too_long), (schema, answer(1, 3)), (answer(1, 3), schema)).equal == 0


def test_embeddings_are_equal_by_numbers_and_report_least_cosine() -> None:
    comparison = compared(
        (embedding(1, 0), embedding(1, 0)),
        (embedding(3, 4), embedding(4, 3)),
        (embedding(2, 0), embedding(4, 0)),
    )
    assert (comparison.events, comparison.equal) == (3, 1)
    assert comparison.least_cosine == pytest.approx(24 / 25)
    assert compared((embedding(1, 0), embedding(-1, 0))).least_cosine == -1
    assert compared((embedding(0, 0), embedding(1, 0))).least_cosine == 1


def test_different_windows_are_not_compared() -> None:
    one, other = windows(8, 9)
    outputs = floats([1, 2], [3, 4])
    for left, right in ([one], [other]), ([one, one], [one]), ([one], []):
        with pytest.raises(BundleError, match="tokenizers split a text differently"):
            Comparison().add(
                UnbatchedResult(answer(0, 1), tuple(left), (outputs,) * len(left)),
                UnbatchedResult(answer(0, 1), tuple(right), (outputs,) * len(right)),
            )


def test_int8_model_is_close_to_its_float32_model(tmp_path: Path, bundle: Bundle) -> None:
    defaults = InferenceOptions(threads=1, doc_stride=8)
    ours = UnbatchedReader(bundle, defaults)
    theirs = UnbatchedReader(int8(bundle, tmp_path, Method.PER_TOKEN), defaults)
    same, close = Comparison(), Comparison()
    config = CONFIGS["bert" if "token_type_ids" in bundle.manifest.inputs else "distilbert"]
    for seed in range(20):
        event = random_words(config, 10 + 4 * seed, seed).event
        same.add(ours.read(event), ours.read(event))
        close.add(ours.read(event), theirs.read(event))
    assert (same.equal, same.largest, same.mean) == (20, 0, 0)
    assert close.equal >= 15
    assert 0 < close.mean < close.largest < 0.5
