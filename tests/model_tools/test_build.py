"""A model's directory to a bundle that was run, or to nothing and a reason."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.inference.bundles import write_bundle
from tests.inference.graphs import table_model
from tests.model_tools import published_models as published
from tests.model_tools.random_weights import TINY_BERT
from worker.model_tools.build import BuiltBundle, build_bundle, copy_bundle
from worker.model_tools.manifest_writer import Provenance
from worker.model_tools.source_files import names_in, select_files
from worker.models.bundle import BundleError, open_bundle
from worker.models.manifest import MANIFEST, Task

_UP = b"../../../../x/y"
_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "large"


def made(source: Path, files: published.Files, target: Path) -> BuiltBundle:
    published.write(source, files)
    contents = select_files(names_in(source), "source")
    return build_bundle(source, contents, target, Provenance(target.name, "ada/large"))


def refusal(source: Path, files: published.Files, target: Path) -> str:
    with pytest.raises(BundleError) as caught:
        made(source, files, target)
    assert list(target.parent.iterdir()) == []
    said = str(caught.value)
    assert "\n" not in said
    assert "qa-partial" not in said
    return said


def test_export_becomes_a_bundle(source: Path, target: Path) -> None:
    files = published.export()
    bundle = made(source, files, target).bundle
    assert bundle == open_bundle(target)
    assert bundle.model_file.read_bytes() == files["onnx/model.onnx"]
    assert set(bundle.manifest.files) == {
        "README.md",
        "config.json",
        "model.onnx",
        "tokenizer.json",
    }


def test_weights_become_a_bundle(source: Path, target: Path) -> None:
    bundle = made(source, published.safetensors(TINY_BERT), target).bundle
    assert bundle.manifest.task is Task.QUESTION_ANSWERING
    assert bundle.manifest.max_tokens == TINY_BERT["max_position_embeddings"]


def test_tokenizer_limit_below_the_models_wins(source: Path, target: Path) -> None:
    files = {
        **published.export(),
        "tokenizer_config.json": json.dumps({"model_max_length": 48}).encode(),
    }
    assert made(source, files, target).bundle.manifest.max_tokens == 48


def test_defaults_are_noted(source: Path, target: Path) -> None:
    files = {**published.vocabulary_alone(), "tokenizer_config.json": b"{}"}
    (note,) = made(source, files, target).notes
    assert "no file sets do_lower_case" in note


def test_fewer_positions_than_configured_are_refused(source: Path, target: Path) -> None:
    files = published.safetensors()
    onnx = published.write(source.with_name("first"), files)
    made_first = build_bundle(
        onnx, select_files(names_in(onnx), "first"), target.with_name("first"), Provenance("first")
    )
    target = target.parent.with_name("others") / "large"
    config = {**json.loads(files["config.json"]), "max_position_embeddings": 512}
    said = refusal(
        source,
        {
            "config.json": json.dumps(config).encode(),
            "tokenizer.json": files["tokenizer.json"],
            "model.onnx": made_first.bundle.model_file.read_bytes(),
        },
        target,
    )
    assert said.startswith("large/model.onnx: 512 tokens with the id 29")


def test_more_tokens_than_the_model_knows_are_refused(source: Path, target: Path) -> None:
    words = published.vocabulary(30)[4:]
    files = {**published.export(), "tokenizer.json": published.tokenizer_file(words)}
    assert "8 tokens with the id 29, the tokenizer's last, do not run: " in refusal(
        source, files, target
    )


def test_outputs_that_are_not_finite_are_refused(source: Path, target: Path) -> None:
    table = np.full(len(published.vocabulary(15)), np.nan, np.float32)
    files = {**published.export(), "onnx/model.onnx": table_model(table, table)}
    assert "give numbers that are not finite" in refusal(source, files, target)


def test_outputs_must_have_one_row_per_token(source: Path, target: Path) -> None:
    fixed = numpy_helper.from_array(np.zeros((1, 3), np.float32), "fixed")
    logits = ("start_logits", "end_logits")
    graph = helper.make_graph(
        [helper.make_node("Identity", ["fixed"], [name]) for name in logits],
        "graph",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in logits],
        [fixed],
    )
    opset = [helper.make_opsetid("", 13)]
    export = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    files = {**published.export(), "onnx/model.onnx": export}
    assert "give logits of shape (3,) and (3,) for 8 tokens" in refusal(source, files, target)


def test_invalid_graph_is_refused(source: Path, target: Path) -> None:
    files = {**published.export(), "onnx/model.onnx": b"no graph"}
    assert refusal(source, files, target).startswith("large/model.onnx: not an ONNX file")


def test_copy_differs_only_in_its_name(source: Path, target: Path) -> None:
    bundle = made(source, published.export(), target).bundle
    other = target.with_name("other")
    copy = copy_bundle(bundle, other, Provenance.of(bundle.manifest, "other")).bundle
    assert copy.manifest == bundle.manifest.model_copy(update={"name": "other"})
    assert copy.model_file.read_bytes() == bundle.model_file.read_bytes()


def test_bundle_that_does_not_run_is_not_copied(tmp_path: Path, target: Path) -> None:
    # Its tokenizer has a word that its model does not know.
    bundle = open_bundle(write_bundle(tmp_path / "poisoned"))
    with pytest.raises(BundleError, match="do not run"):
        copy_bundle(bundle, target, Provenance.of(bundle.manifest, "large"))
    assert not target.exists()


def test_weights_beside_the_graph_are_joined(source: Path, target: Path) -> None:
    bundle = made(source, published.external_export(), target).bundle
    plain = made(source, published.export(), target.with_name("plain")).bundle
    assert not (target / "model.onnx_data").exists()
    joined, expected = (onnx.load(each.model_file) for each in (bundle, plain))
    for one, other in zip(joined.graph.initializer, expected.graph.initializer, strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(one), numpy_helper.to_array(other))


def test_missing_and_short_weights_are_named(source: Path, target: Path) -> None:
    assert "onnx/model.onnx_data: ends before the weights of" in refusal(
        source, published.external_export(size=40), target
    )
    (source / "onnx/model.onnx_data").unlink()
    files = published.external_export()
    del files["onnx/model.onnx_data"]
    assert refusal(source, files, target).endswith(
        "its weights are in model.onnx_data, which is missing"
    )


def test_weights_in_another_directory_are_refused(source: Path, target: Path) -> None:
    files = published.external_export()
    files["onnx/model.onnx"] = files["onnx/model.onnx"].replace(
        b"model.onnx_data", b"../../../../x/y"
    )
    assert "its weights are in '../../../../x/y', not beside it" in refusal(source, files, target)


@pytest.mark.parametrize("name", ["onnx/model.onnx", "tokenizer.json", "config.json"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            _POINTER,
            "a git-lfs pointer",
        ),
        (b"\n<!DOCTYPE html><html>", "an HTML page in place of the file; download it again"),
        (b"", "the file is empty; download it again"),
    ],
)
def test_other_contents_are_named(
    source: Path, target: Path, name: str, content: bytes, message: str
) -> None:
    target.parent.mkdir()
    assert f"{source / name}: {message}" in refusal(
        source, {**published.export(), name: content}, target
    )


@pytest.mark.parametrize(("limit", "noted"), [(12, True), (63, True), (64, False)])
def test_tiny_windows_are_noted(source: Path, target: Path, limit: int, noted: bool) -> None:
    config = json.dumps({"model_max_length": limit}).encode()
    notes = made(source, {**published.export(), "tokenizer_config.json": config}, target).notes
    text = f"windows hold only {limit} tokens, by model_max_length of tokenizer_config.json or"
    assert [note.startswith(text) for note in notes] == [True] * noted


def test_overwriting_replaces_the_bundle(source: Path, target: Path) -> None:
    made(source, published.export(), target)
    contents = select_files(names_in(source), "source")
    with pytest.raises(BundleError, match="exists; choose another --name"):
        build_bundle(source, contents, target, Provenance("large"))
    build_bundle(source, contents, target, Provenance("large", "new"), overwrite=True)
    assert open_bundle(target).manifest.source == "new"
    assert (target / MANIFEST).is_file()
