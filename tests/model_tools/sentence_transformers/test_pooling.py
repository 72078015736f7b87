"""How sentence-transformers say that token vectors become one."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.model_tools.published_models import write
from tests.model_tools.sentence_transformers.published import (
    DenseModule,
    LayerNormModule,
    sentence_transformers,
)
from worker.model_tools.sentence_transformers.pooling import find_pooling
from worker.models.bundle import BundleError
from worker.models.manifest import DenseLayer, LayerNormLayer, Pooling

DENSE = DenseModule(in_features=4, out_features=3)


def refusal(directory: Path) -> str:
    with pytest.raises(BundleError) as caught:
        find_pooling(directory, None, None)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode": "mean", "include_prompt": True}, "mean"),
        ({"pooling_mode": ["cls"]}, "cls"),
    ],
)
def test_active_pooling_mode_is_read(tmp_path: Path, fields: dict[str, Any], mode: Any) -> None:
    write(tmp_path, sentence_transformers(Pooling=fields))
    assert find_pooling(tmp_path, None, None) == Pooling(mode=mode, normalize=False)


def test_pooling_without_modules_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"1_Pooling/config.json": b'{"pooling_mode_cls_token": true}'})
    assert find_pooling(tmp_path, None, None) == Pooling(mode="cls")


def test_folder_is_the_one_that_modules_name(tmp_path: Path) -> None:
    files = sentence_transformers(Pooling="cls")
    files["1_Other/config.json"] = files.pop("1_Pooling/config.json")
    files["modules.json"] = files["modules.json"].replace(b"1_Pooling", b"1_Other")
    assert find_pooling(write(tmp_path, files), None, None) == Pooling(mode="cls")


@pytest.mark.parametrize(
    "package",
    ["sentence_transformers.models.", "sentence_transformers.sentence_transformer.modules.x."],
)
def test_layers_are_read_in_their_order(tmp_path: Path, package: str) -> None:
    relu = DenseModule(3, 3, bias=False, activation="torch.nn.modules.activation.ReLU")
    files = sentence_transformers(
        package=package,
        Pooling="mean",
        Dropout=None,
        Dense=DENSE,
        LayerNorm=LayerNormModule(3),
        Dense5=relu,
        Normalize=None,
    )
    assert find_pooling(write(tmp_path, files), None, None) == Pooling(
        mode="mean",
        normalize=True,
        layers=(
            DenseLayer(weight="3_Dense.weight.npy", bias="3_Dense.bias.npy", activation="tanh"),
            LayerNormLayer(weight="4_LayerNorm.weight.npy", bias="4_LayerNorm.bias.npy"),
            DenseLayer(weight="5_Dense5.weight.npy", activation="relu"),
        ),
    )


def test_missing_files_give_no_pooling(tmp_path: Path) -> None:
    assert find_pooling(tmp_path, None, None) is None


def test_arguments_override_the_files(tmp_path: Path) -> None:
    write(tmp_path, sentence_transformers(Pooling="cls", Dense=DENSE, Normalize=None))
    layers = (DenseLayer(weight="2_Dense.weight.npy", bias="2_Dense.bias.npy", activation="tanh"),)
    assert find_pooling(tmp_path, "mean", None) == Pooling(
        mode="mean", layers=layers, normalize=True
    )
    assert find_pooling(tmp_path, None, False) == Pooling(mode="cls", layers=layers)


def test_arguments_keep_the_rest_of_a_bundle(tmp_path: Path) -> None:
    base = Pooling(mode="cls", layers=(DenseLayer(weight="d.npy"),), normalize=True)
    assert find_pooling(tmp_path, None, None, base=base) == base
    assert find_pooling(tmp_path, None, False, base=base) == base.model_copy(
        update={"normalize": False}
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooling_mode_max_tokens": True}, "pools max_tokens; the worker pools mean_tokens"),
        ({"pooling_mode": ["cls", "mean"]}, "pools cls and mean; "),
        ({"pooling_mode_cls_token": False}, "pools nothing; "),
    ],
)
def test_unsupported_pooling_is_refused_without_an_argument(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    write(tmp_path, sentence_transformers(Pooling=fields))
    assert message in refusal(tmp_path)
    assert find_pooling(tmp_path, "mean", None) == Pooling()


# Modules that are not applied are refused by their names.


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({}, "modules.json: lists no Pooling, so that texts have no embedding; select one with"),
        ({"CNN": None, "Pooling": "mean"}, "CNN in Transformer -> CNN -> Pooling is not supported"),
        ({"Pooling": "mean", "LSTM": None}, "LSTM in Transformer -> Pooling -> LSTM is not"),
        ({"Pooling": "mean", "Normalize": None, "Dense": DENSE}, "Normalize in Transformer -> "),
        ({"Pooling": "mean", "Pooling2": "cls"}, "Pooling in Transformer -> Pooling -> Pooling is"),
        ({"package": "custom_st."}, "'custom_st.Transformer' is code of the model's own, which is"),
        ({"transformer": "0_BERT"}, "begins with Transformer in 0_BERT; supported is"),
        ({"transformer": "../x"}, "the path '../x' is not a folder of the model's directory"),
    ],
)
def test_unknown_modules_are_refused(tmp_path: Path, modules: dict[str, Any], message: str) -> None:
    assert message in refusal(write(tmp_path, sentence_transformers(**modules)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "torch.nn.modules.activation.SiLU"}, "activation_function is torch.nn"),
        ({"more": (("use_residual", True),)}, "use_residual is True; only False is supported"),
        ({"more": (("module_input_name", "token_embeddings"),)}, "module_input_name is 'token_"),
        ({"more": (("scale", 2),)}, "2_Dense/config.json: scale is not known"),
    ],
)
def test_unknown_computations_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    dense = DenseModule(4, 3, **changes)
    assert message in refusal(write(tmp_path, sentence_transformers(Pooling="cls", Dense=dense)))


def test_missing_module_files_are_named(tmp_path: Path) -> None:
    files = sentence_transformers(Pooling="cls", Dense=DENSE)
    del files["2_Dense/config.json"]
    assert refusal(write(tmp_path, files)).endswith(
        "2_Dense/config.json is missing; Dense needs it"
    )


@pytest.mark.parametrize("modules", [{}, ["text"], "text"])
def test_invalid_modules_are_refused(tmp_path: Path, modules: Any) -> None:
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    assert "not a list of modules" in refusal(tmp_path)


def test_invalid_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("{")
    assert "modules.json: not JSON" in refusal(tmp_path)
