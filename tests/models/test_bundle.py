"""A model directory, held against its manifest."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.inference.bundles import tiny_model, write_bundle
from worker.models.bundle import Bundle, BundleError, open_bundle
from worker.models.manifest import Manifest


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


def changed(directory: Path, **changes: Any) -> None:
    """Change fields of the manifest; `...` takes one out."""
    path = directory / "manifest.json"
    document = {**json.loads(path.read_bytes()), **changes}
    path.write_text(json.dumps({name: v for name, v in document.items() if v is not ...}))


def refusal(directory: Path) -> str:
    with pytest.raises(BundleError) as caught:
        open_bundle(directory)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
def test_a_missing_file_is_named(directory: Path, name: str) -> None:
    (directory / name).unlink()
    assert refusal(directory) == f"{directory}: {name} is missing; its manifest lists it"


def test_a_directory_in_the_place_of_a_file_is_no_file(directory: Path) -> None:
    (directory / "model.onnx").unlink()
    (directory / "model.onnx").mkdir()
    assert "model.onnx is missing" in refusal(directory)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == f"{tmp_path}/nowhere: no such directory"


def test_a_model_directory_without_a_manifest_says_how_to_get_one(directory: Path) -> None:
    (directory / "manifest.json").unlink()
    assert f"`qa-worker model add {directory}`" in refusal(directory)


def test_a_directory_without_anything_names_all_that_is_missing(tmp_path: Path) -> None:
    assert "model.onnx, tokenizer.json, config.json too" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
def test_a_file_that_is_not_the_listed_one_is_refused(directory: Path, name: str) -> None:
    path = directory / name
    path.write_bytes(path.read_bytes() + b" ")
    assert f"{name} is not the file that manifest.json lists" in refusal(directory)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'"text"'])
def test_a_manifest_that_is_no_json_object_is_refused(directory: Path, content: bytes) -> None:
    (directory / "manifest.json").write_bytes(content)
    assert "manifest.json: manifest: " in refusal(directory)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "format"),
        ({"task": "summaries"}, "task"),
        ({"name": "../up"}, "name"),
        ({"max_tokens": 7}, "max_tokens"),
        ({"max_tokens": ...}, "max_tokens"),
        ({"batch_invariant": ...}, "batch_invariant"),
        ({"files": {"model.onnx": "0" * 64}}, "tokenizer.json, config.json is not listed"),
        ({"files": {"../model.onnx": "0" * 64}}, "files"),
        ({"files": {"model.onnx": "0"}}, "files.model.onnx"),
        ({"pooling": {"mode": "mean"}}, "pooling"),
        ({"task": "embeddings"}, "pooling"),
        ({"task": "embeddings", "pooling": {"mode": "max"}}, "pooling.mode"),
    ],
)
def test_a_manifest_that_does_not_hold_together_is_refused(
    directory: Path, changes: dict[str, Any], said: str
) -> None:
    changed(directory, **changes)
    assert said in refusal(directory)


def test_fields_of_later_versions_are_ignored(directory: Path) -> None:
    changed(directory, colour="blue")
    assert open_bundle(directory).name == "tiny"


def test_the_hash_is_that_of_the_model_file(directory: Path) -> None:
    assert open_bundle(directory).manifest.sha256 == hashlib.sha256(tiny_model()).hexdigest()


def test_a_manifest_survives_its_own_json(directory: Path) -> None:
    manifest = open_bundle(directory).manifest
    assert Manifest.model_validate_json(manifest.to_json()) == manifest


def test_the_default_bundle_says_what_it_is(default_bundle: Bundle) -> None:
    manifest = default_bundle.manifest
    assert (manifest.name, manifest.max_tokens) == ("default", 512)
    assert manifest.knows_no_answer
    assert manifest.calibration is not None
    assert manifest.calibration.no_answer_threshold is not None
    assert manifest.sha256 in (default_bundle.directory / "MODEL_CARD.md").read_text()
