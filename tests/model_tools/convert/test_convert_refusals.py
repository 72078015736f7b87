"""Which weights are refused, and in which words."""

from pathlib import Path

import numpy as np
import pytest

from tests.model_tools.random_weights import TINY_BERT, TINY_DISTILBERT, write_model
from tests.model_tools.tiny_models import Model, tiny_model
from worker.model_tools.convert.architecture import read_architecture
from worker.model_tools.convert.convert import convert, convert_directory
from worker.models.bundle import BundleError


@pytest.mark.parametrize(
    "name", ["classifier.weight", "pre_classifier.bias", "encoder.layer.0.adapter.weight"]
)
def test_unknown_tensor_is_refused(model: Model, name: str) -> None:
    weights = {**model.weights, name: np.ones(1, np.float32)}
    with pytest.raises(BundleError) as caught:
        convert(weights, model.architecture)
    assert str(caught.value) == f"the converter does not know {name}"


def test_every_tensor_is_needed(model: Model) -> None:
    for name in model.weights.keys() - {"qa_outputs.weight"}:
        less = {other: array for other, array in model.weights.items() if other != name}
        bare = name.removeprefix(model.prefix)
        with pytest.raises(BundleError) as caught:
            convert(less, model.architecture)
        assert str(caught.value) == f"the weights lack {bare}"


def test_tensor_of_another_shape_is_refused(model: Model) -> None:
    for name, array in model.weights.items():
        with pytest.raises(BundleError) as caught:
            convert({**model.weights, name: array[1:]}, model.architecture)
        assert str(caught.value) == (
            f"{name} is {array[1:].shape}; by config.json it must be {array.shape}"
        )


def test_incomplete_head_is_refused() -> None:
    model = tiny_model("bert", head=True)
    less = {name: array for name, array in model.weights.items() if name != "qa_outputs.weight"}
    with pytest.raises(BundleError, match=r"does not know qa_outputs\.bias"):
        convert(less, model.architecture)


def test_weights_of_another_family_are_refused() -> None:
    with pytest.raises(BundleError) as caught:
        convert(tiny_model("bert", head=True).weights, read_architecture(TINY_DISTILBERT))
    assert str(caught.value) == (
        "the weights lack transformer.layer.0.attention.k_lin.bias, "
        "transformer.layer.0.attention.k_lin.weight, "
        "transformer.layer.0.attention.out_lin.bias and 29 more"
    )


def test_tensor_under_two_names_is_refused() -> None:
    weights = tiny_model("bert", head=False).weights
    twice = {**weights, "bert.embeddings.LayerNorm.gamma": np.ones(12, np.float32)}
    with pytest.raises(BundleError) as caught:
        convert(twice, read_architecture(TINY_BERT))
    assert str(caught.value) == (
        "the weights hold one tensor twice: embeddings.LayerNorm.weight and "
        "bert.embeddings.LayerNorm.gamma"
    )


def test_too_large_model_is_refused_before_it_is_read() -> None:
    # Nearly 3 GB by the configuration; the arrays that it does not come to are small.
    config = {**TINY_BERT, "vocab_size": 60_000_000}
    with pytest.raises(BundleError) as caught:
        convert(tiny_model("bert", head=True).weights, read_architecture(config))
    assert str(caught.value) == ("the weights take 2.88 GB as float32; one ONNX file holds 2.15 GB")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model-00001-of-00002.safetensors"])
def test_missing_safetensors_file_is_refused(tmp_path: Path, name: str) -> None:
    directory = write_model(tmp_path / "model", TINY_BERT, tiny_model("bert", head=True).weights)
    (directory / "model.safetensors").rename(directory / name)
    with pytest.raises(BundleError, match=r"model\.safetensors is missing; weights in several"):
        convert_directory(directory)
