"""From files and what the caller knows to a manifest."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.inference.bundles import write_bundle
from tests.inference.manifests import calibration
from tests.model_tools.random_weights import TINY_DISTILBERT
from tests.model_tools.tiny_models import tiny_model
from worker.inference.onnx_session import OnnxSession, SessionOptions
from worker.model_tools.manifest_writer import Provenance, copy_cards, read_config, write_manifest
from worker.models.bundle import BundleError, open_bundle
from worker.models.manifest import MANIFEST, MODEL, Pooling, RecordedScores

SCORES = RecordedScores(data="dev", questions=2, exact_match=50.0, f1=75.0, decoder="joint")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Everything of a bundle but its manifest."""
    directory = write_bundle(tmp_path / "bundle")
    (directory / MANIFEST).unlink()
    return directory


def configured(directory: Path, **config: Any) -> None:
    (directory / "config.json").write_text(json.dumps(config))


def refusal(directory: Path, origin: Provenance) -> str:
    with pytest.raises(BundleError) as caught:
        write_manifest(directory, origin)
    assert not (directory / MANIFEST).exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_described_bundle_opens_and_runs(directory: Path) -> None:
    manifest = write_manifest(directory, Provenance("large"))
    bundle = open_bundle(directory)
    assert bundle.manifest == manifest
    OnnxSession(bundle, SessionOptions())
    assert (manifest.name, manifest.max_tokens, manifest.precision) == ("large", 32, "float32")


def test_provenance_is_written(directory: Path) -> None:
    origin = Provenance("large", "ada/large", "c0ffee", "static", None, True, None, (SCORES,))
    manifest = write_manifest(directory, origin)
    assert (manifest.source, manifest.revision, manifest.method) == (
        "ada/large",
        "c0ffee",
        "static",
    )
    assert (manifest.knows_no_answer, manifest.scores) == (True, (SCORES,))


def test_copy_keeps_provenance(directory: Path) -> None:
    first = Provenance(
        "large", "ada/large", "c0ffee", "static", 16, True, None, (SCORES,), calibration()
    )
    manifest = write_manifest(directory, first)
    assert manifest.calibration == calibration()
    again = write_manifest(directory, Provenance.of(manifest, "copy"))
    assert again == manifest.model_copy(update={"name": "copy"})


def test_every_file_is_listed_with_its_hash(directory: Path) -> None:
    (directory / "LICENSE").write_text("MIT")
    assert set(write_manifest(directory, Provenance("large")).files) == {
        "LICENSE",
        "config.json",
        "model.onnx",
        "tokenizer.json",
    }
    (directory / "LICENSE").write_text("other")
    with pytest.raises(BundleError, match="LICENSE is not the file"):
        open_bundle(directory)


def test_old_manifest_is_not_listed(directory: Path) -> None:
    first = write_manifest(directory, Provenance("large"))
    assert write_manifest(directory, Provenance("large")) == first


@pytest.mark.parametrize(("tokenizer", "limit"), [(None, 32), (16, 16), (512, 32)])
def test_lower_limit_of_model_and_tokenizer_wins(
    directory: Path, tokenizer: int | None, limit: int
) -> None:
    assert write_manifest(directory, Provenance("large", max_tokens=tokenizer)).max_tokens == limit


@pytest.mark.parametrize(("config", "pad"), [({"pad_token_id": 3}, 3), ({}, 0)])
def test_padding_token_is_read_from_config(
    directory: Path, config: dict[str, int], pad: int
) -> None:
    configured(directory, max_position_embeddings=32, **config)
    assert write_manifest(directory, Provenance("large")).pad_token_id == pad


def test_pooling_is_written_for_embeddings_only(directory: Path, embedder: Path) -> None:
    assert write_manifest(embedder, Provenance("large")).pooling == Pooling()
    cls = Pooling(mode="cls", normalize=True)
    assert write_manifest(embedder, Provenance("large", pooling=cls)).pooling == cls
    assert "pooling is for embeddings" in refusal(directory, Provenance("large", pooling=cls))


@pytest.fixture
def embedder(tmp_path: Path) -> Path:
    directory = write_bundle(
        tmp_path / "embedder",
        model=tiny_model("distilbert", head=False).content,
        max_tokens=TINY_DISTILBERT["max_position_embeddings"],
    )
    (directory / MANIFEST).unlink()
    return directory


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "max_position_embeddings is None"),
        ({"max_position_embeddings": 7}, "max_position_embeddings is 7"),
        ({"max_position_embeddings": "512"}, "max_position_embeddings is '512'"),
        ({"max_position_embeddings": 32, "pad_token_id": -1}, "pad_token_id -1"),
        ({"max_position_embeddings": 32, "pad_token_id": "[PAD]"}, "pad_token_id '[PAD]'"),
    ],
)
def test_invalid_config_is_refused(directory: Path, config: dict[str, Any], said: str) -> None:
    configured(directory, **config)
    assert said in refusal(directory, Provenance("large"))


def test_invalid_name_is_refused(directory: Path) -> None:
    assert "name '../up'" in refusal(directory, Provenance("../up"))


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
def test_missing_file_is_named(directory: Path, name: str) -> None:
    (directory / name).unlink()
    assert f"{name} is missing" in refusal(directory, Provenance("large"))


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]"])
def test_config_that_is_not_an_object_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"config\.json: not "):
        read_config(tmp_path)


def test_card_and_licence_are_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for path in (source, target):
        path.mkdir()
    for name in ("README.md", "LICENSE", "vocab.txt", MODEL):
        (source / name).write_text(name)
    copy_cards(source, target)
    assert {path.name for path in target.iterdir()} == {"README.md", "LICENSE"}
