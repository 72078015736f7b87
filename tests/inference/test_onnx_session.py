"""The graph: what it must take and give, and that padding leaves no trace."""

from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.inference.bundles import WORDS, tiny_model, write_bundle
from tests.inference.graphs import summing_model, table_model
from worker.inference.execution_providers import Provider, ProviderError
from worker.inference.onnx_session import OnnxSession, SessionOptions
from worker.inference.question_answering.windows import Windower
from worker.inference.window import Window
from worker.models.bundle import BundleError, open_bundle

TABLE = [float(number) for number in range(20)]


def opened(directory: Path, model: bytes, *, pad: int = 0) -> OnnxSession:
    bundle = open_bundle(write_bundle(directory / "bundle", model=model, pad_token_id=pad))
    return OnnxSession(bundle, SessionOptions())


def window(*ids: int) -> Window:
    values = np.array(ids, np.int64)
    return Window(values, np.zeros_like(values), offset=1, first=0, count=len(values) - 2)


@pytest.mark.parametrize(
    "inputs",
    [
        ("input_ids",),
        ("input_ids", "attention_mask"),
        ("input_ids", "token_type_ids"),
        ("input_ids", "attention_mask", "token_type_ids"),
    ],
)
def test_a_model_is_fed_what_it_takes(tmp_path: Path, inputs: tuple[str, ...]) -> None:
    session = opened(tmp_path, table_model(TABLE, TABLE, inputs=inputs))
    ((starts, ends),) = session.run([window(2, 5, 3)])
    assert starts.tolist() == ends.tolist() == [2.0, 5.0, 3.0]


@pytest.mark.parametrize("inputs", [("tokens", "attention_mask"), ("input_ids", "pixel_values")])
def test_a_model_that_takes_something_else_is_refused(
    tmp_path: Path, inputs: tuple[str, ...]
) -> None:
    with pytest.raises(BundleError, match="a BERT-family model takes input_ids"):
        opened(tmp_path, table_model(TABLE, TABLE, inputs=inputs))


@pytest.mark.parametrize("outputs", [("logits", "hidden"), ("start_logits", "logits")])
def test_a_model_that_does_not_answer_questions_is_refused(
    tmp_path: Path, outputs: tuple[str, str]
) -> None:
    with pytest.raises(BundleError, match="a model for question-answering gives"):
        opened(tmp_path, table_model(TABLE, TABLE, outputs=outputs))


@pytest.mark.parametrize("model", [b"not a model", tiny_model()[:200], b"\x00" * 64])
def test_a_file_that_is_no_graph_is_refused_in_one_line(tmp_path: Path, model: bytes) -> None:
    with pytest.raises(BundleError, match=r"model\.onnx: ") as caught:
        opened(tmp_path, model)
    assert "\n" not in str(caught.value)


def test_windows_of_different_lengths_get_their_own_logits(tmp_path: Path) -> None:
    session = opened(tmp_path, table_model(TABLE, TABLE[::-1]))
    windows = [window(2, 5, 3), window(2, 6, 7, 8, 3), window(2, 3)]
    logits = session.run(windows)
    for each, (starts, ends) in zip(windows, logits, strict=True):
        assert starts.tolist() == each.ids.tolist()
        assert ends.tolist() == (19 - each.ids).tolist()


def typed(*types: int) -> Window:
    values = np.array(types, np.int64)
    return Window(np.ones_like(values), values, offset=1, first=0, count=len(values) - 2)


def test_padding_is_masked_has_no_type_and_is_the_padding_token(tmp_path: Path) -> None:
    inputs = ("input_ids", "attention_mask", "token_type_ids")
    windows = [typed(0, 0, 1), typed(0, 1, 1, 1, 1)]
    masked = opened(tmp_path, summing_model("attention_mask", "token_type_ids", inputs=inputs))
    (mask, types), _ = masked.run(windows)
    assert mask.tolist() == [3, 2, 1]
    assert types.tolist() == [1, 1, 1]
    filled = opened(tmp_path, summing_model("input_ids", "input_ids", inputs=inputs), pad=7)
    (ids, _), _ = filled.run(windows)
    assert ids.tolist() == [3 + 2 * 7, 2 + 2 * 7, 1 + 2 * 7]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_logits_are_float32_whatever_the_model_gives(
    tmp_path: Path, dtype: type[np.floating]
) -> None:
    session = opened(tmp_path, table_model(TABLE, TABLE, dtype=dtype))
    ((starts, ends),) = session.run([window(2, 5, 3)])
    assert starts.dtype == ends.dtype == np.float32


def test_a_provider_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "bundle"))
    with pytest.raises(ProviderError, match=r"QA_PROVIDERS: cuda is not available here: install"):
        OnnxSession(bundle, SessionOptions(providers=[Provider.CUDA, Provider.CPU]))


def test_a_provider_that_is_missing_is_replaced_where_that_is_allowed(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "bundle"))
    with capture_logs() as logs:
        session = OnnxSession(bundle, SessionOptions(providers=[Provider.CUDA], fallback=True))
    assert session.provider is Provider.CPU
    assert logs == [
        {
            "event": "execution_provider_unavailable",
            "log_level": "warning",
            "missing": ["cuda"],
            "used": Provider.CPU,
        }
    ]


def test_padding_is_no_part_of_an_fp32_answer(tmp_path: Path) -> None:
    session = opened(tmp_path, tiny_model())
    windower = Windower(open_bundle(tmp_path / "bundle"), max_tokens=32)
    texts = ["a answer b", "c", "d e f g h answer"]
    windows = [
        piece
        for text in texts
        for piece in windower.split(
            windower.tokenize_question("a", max_tokens=4),
            windower.tokenize_context(text),
            stride=0,
            max_windows=1,
        )
    ]
    together = session.run(windows)
    for each, (starts, ends) in zip(windows, together, strict=True):
        ((alone_starts, alone_ends),) = session.run([each])
        assert starts.tolist() == alone_starts.tolist()
        assert ends.tolist() == alone_ends.tolist()
    assert max(together[0][0]) == WORDS["answer"][0]
