"""Which files of a repository make a bundle."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from worker.model_tools.source_files import EXPORTS, SAFETENSORS, names_in, select_files
from worker.models.bundle import BundleError

PLAIN = ("config.json", "tokenizer.json")


def refusal(*names: str, accepted: Sequence[str] = (*EXPORTS, SAFETENSORS)) -> str:
    with pytest.raises(BundleError) as caught:
        select_files(names, "ada/model", accepted)
    assert str(caught.value).startswith("ada/model: ")
    return str(caught.value)


@pytest.mark.parametrize(
    ("published", "chosen"),
    [
        (["onnx/model.onnx", "model.onnx", "model.safetensors"], "onnx/model.onnx"),
        (["model.onnx", "model.safetensors"], "model.onnx"),
        (["model.safetensors", "pytorch_model.bin"], "model.safetensors"),
        (["onnx/model_quantized.onnx", "model.safetensors"], "model.safetensors"),
        (["openvino/model.onnx", "model.safetensors"], "model.safetensors"),
    ],
)
def test_export_is_preferred_to_weights(published: list[str], chosen: str) -> None:
    assert select_files([*PLAIN, *published], "ada/model").weights == chosen


def test_convert_uses_weights_despite_an_export() -> None:
    contents = select_files([*PLAIN, "model.onnx", SAFETENSORS], "ada/model", (SAFETENSORS,))
    assert (contents.weights, contents.is_export) == (SAFETENSORS, False)


def test_vocabulary_replaces_a_missing_tokenizer() -> None:
    both = select_files([*PLAIN, "vocab.txt", "model.onnx"], "ada/model")
    assert "vocab.txt" not in both.others
    alone = select_files(["config.json", "vocab.txt", "model.onnx"], "ada/model")
    assert alone.others == ("config.json", "vocab.txt")


def test_only_files_of_the_bundle_are_selected() -> None:
    wanted = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "modules.json",
        "1_Pooling/config.json",
        "README.md",
        "LICENSE",
    ]
    others = ["tf_model.h5", "onnx/config.json", ".gitattributes", "training_args.bin"]
    contents = select_files([*others, *wanted, "model.onnx"], "ada/model")
    assert set(contents.others) == set(wanted)


def test_pickle_is_refused_with_a_workaround() -> None:
    said = refusal(*PLAIN, "pytorch_model.bin")
    assert "a pickle (pytorch_model.bin), which can run any code and is not opened" in said
    assert "--revision refs/pr/N" in said


def test_sharded_weights_are_refused() -> None:
    said = refusal(*PLAIN, "model.safetensors.index.json", "model-00001-of-00002.safetensors")
    assert "its weights are in several files" in said


def test_missing_weights_are_named() -> None:
    said = refusal(*PLAIN, "model.gguf")
    assert said == "ada/model: there is no onnx/model.onnx or model.onnx or model.safetensors"
    assert refusal(*PLAIN, "pytorch_model.bin", accepted=EXPORTS).endswith("or model.onnx")


def test_config_and_tokenizer_are_required() -> None:
    assert refusal("model.onnx", "tokenizer.json").endswith("there is no config.json")
    assert "no tokenizer.json and no vocab.txt" in refusal("model.onnx", "config.json")


def test_directory_is_listed_like_a_repository(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").touch()
    (tmp_path / "config.json").touch()
    assert names_in(tmp_path) == {"onnx/model.onnx", "config.json"}
