"""A model directory, and what can be said of it without opening the graph."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.reading.bundles import tiny_model, write_bundle
from worker.reading.bundle import Bundle, BundleError, open_bundle


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


def with_config(directory: Path, **changes: Any) -> Bundle:
    config = {"max_position_embeddings": 512, "pad_token_id": 0, **changes}
    present = {name: value for name, value in config.items() if value is not ...}
    (directory / "config.json").write_text(json.dumps(present))
    return open_bundle(directory)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
def test_a_missing_file_is_named(directory: Path, name: str) -> None:
    (directory / name).unlink()
    with pytest.raises(BundleError) as caught:
        open_bundle(directory)
    assert str(caught.value) == f"{directory}: {name} is missing; a bundle needs it"


def test_a_directory_in_the_place_of_a_file_is_no_file(directory: Path) -> None:
    (directory / "model.onnx").unlink()
    (directory / "model.onnx").mkdir()
    with pytest.raises(BundleError, match=r"model\.onnx is missing"):
        open_bundle(directory)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nowhere"):
        open_bundle(tmp_path / "nowhere")


def test_an_empty_model_is_refused(directory: Path) -> None:
    (directory / "model.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"model\.onnx is empty"):
        open_bundle(directory)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'"text"'])
def test_a_config_that_is_no_json_object_is_refused(directory: Path, content: bytes) -> None:
    (directory / "config.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"config\.json: not"):
        open_bundle(directory)


@pytest.mark.parametrize("positions", [..., None, "512", 512.0, 7, 0, -1])
def test_a_config_without_a_usable_number_of_positions_is_refused(
    directory: Path, positions: Any
) -> None:
    with pytest.raises(BundleError, match="max_position_embeddings is"):
        with_config(directory, max_position_embeddings=positions)


def test_the_limit_is_that_of_the_config(directory: Path) -> None:
    assert with_config(directory, max_position_embeddings=384).max_tokens == 384


@pytest.mark.parametrize(("pad", "expected"), [(3, 3), (..., 0), (None, 0), ("0", 0)])
def test_a_config_without_a_padding_token_pads_with_the_first(
    directory: Path, pad: Any, expected: int
) -> None:
    assert with_config(directory, pad_token_id=pad).pad_token_id == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("org/model", "org/model"), ("", "bundle"), (..., "bundle"), (7, "bundle")],
)
def test_a_model_is_named_by_its_config_or_its_directory(
    directory: Path, name: Any, expected: str
) -> None:
    assert with_config(directory, _name_or_path=name).name == expected


def test_the_hash_is_that_of_the_model_file(directory: Path) -> None:
    assert open_bundle(directory).sha256 == hashlib.sha256(tiny_model()).hexdigest()


def test_a_model_of_floats_is_not_quantized(directory: Path) -> None:
    bundle = open_bundle(directory)
    assert (bundle.quantized, bundle.batch_invariant) == (False, True)


@pytest.mark.parametrize(
    ("operator", "batch_invariant"),
    [
        (b"DynamicQuantizeLinear", False),
        (b"DynamicQuantizeMatMul", False),
        (b"MatMulNBits", False),
        (b"QLinearMatMul", True),
        (b"QuantizeLinear", True),
        (b"MatMulInteger", True),
    ],
)
def test_quantized_operators_are_found_and_told_apart(
    directory: Path, operator: bytes, batch_invariant: bool
) -> None:
    (directory / "model.onnx").write_bytes(tiny_model() + operator)
    bundle = open_bundle(directory)
    assert (bundle.quantized, bundle.batch_invariant) == (True, batch_invariant)


def test_the_default_bundle_is_quantized_and_named_by_its_directory(
    default_bundle: Bundle,
) -> None:
    assert (default_bundle.name, default_bundle.max_tokens) == ("default", 512)
    assert default_bundle.quantized
    assert not default_bundle.batch_invariant
    assert default_bundle.sha256 in (default_bundle.directory / "MODEL_CARD.md").read_text()
