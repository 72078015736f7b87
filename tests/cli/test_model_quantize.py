"""`qa-worker model quantize`, and the same while a model is converted or pulled."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.output import complaint
from tests.model_tools import published_models as published
from tests.model_tools.commands import Machine
from tests.model_tools.hub_server import hub_server
from tests.model_tools.int8_models import CONFIGS, DISTILBERT, wide_weights
from tests.model_tools.word_models import random_words, word_bundle
from worker.models.bundle import Bundle, open_bundle
from worker.models.manifest import Manifest, Pooling


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "models"
    directory.mkdir()
    monkeypatch.setenv("QA_MODELS", str(directory))
    return directory


@pytest.fixture
def words(models: Path) -> Bundle:
    """A float32 model of that name in the store."""
    return word_bundle(models / "words", DISTILBERT, wide_weights(DISTILBERT))


def quantized(command: Command, *arguments: str | Path) -> str:
    done = command("model", "quantize", *arguments)
    assert (done.code, done.err) == (0, "")
    return done.out


def described(directory: Path) -> tuple[str, str | None, bool]:
    manifest = open_bundle(directory).manifest
    return manifest.precision, manifest.method, manifest.batch_invariant


PER_TOKEN = ("int8", "int8 weights per column, activations per token", True)
DYNAMIC = ("int8", "int8 weights per column, activations per run", False)


def test_int8_model_is_named_after_its_source(
    command: Command, models: Path, words: Bundle
) -> None:
    said = quantized(command, "words")
    assert said == (
        f"words-int8: question-answering, int8, in {models / 'words-int8'} (QA_MODEL=words-int8)\n"
    )
    assert open_bundle(models / "words-int8").name == "words-int8"
    assert described(models / "words-int8") == PER_TOKEN
    assert open_bundle(models / "words") == words
    assert sorted(path.name for path in models.iterdir()) == ["words", "words-int8"]


def test_directory_is_quantized_into_the_store(
    command: Command, models: Path, words: Bundle, tmp_path: Path
) -> None:
    elsewhere = words.directory.rename(tmp_path / "elsewhere")
    quantized(command, elsewhere)
    # Its manifest has the name, and not its directory.
    assert described(models / "words-int8") == PER_TOKEN


def test_method_option_is_applied(command: Command, models: Path, words: Bundle) -> None:
    quantized(command, "words", "--method", "dynamic", "--name", "a")
    quantized(command, "words", "--method", "per-token", "--name", "b")
    assert (described(models / "a"), described(models / "b")) == (DYNAMIC, PER_TOKEN)
    assert command("model", "quantize", "words", "--method", "static").code == 2


def test_int8_model_is_used_by_name(
    command: Command, models: Path, words: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantized(command, "words")
    monkeypatch.setenv("QA_MODEL", "words-int8")
    event = random_words(DISTILBERT, 60).event
    asked = command(
        "ask", "--question", event.question, "--context", event.passages[0].text, "--json"
    )
    answer = json.loads(asked.out)
    assert answer["answer"] == event.passages[0].text[answer["start"] : answer["end"]]
    assert answer["model"]["precision"] == "int8"


def test_existing_name_needs_replace(command: Command, models: Path, words: Bundle) -> None:
    quantized(command, "words")
    assert "words-int8 exists; choose another --name" in complaint(
        command("model", "quantize", "words", "--method", "dynamic")
    )
    assert described(models / "words-int8") == PER_TOKEN
    quantized(command, "words", "--method", "dynamic", "--replace")
    assert described(models / "words-int8") == DYNAMIC
    # Also by what comes of itself.
    quantized(command, "words", "--name", "words", "--replace")
    assert described(models / "words") == PER_TOKEN


def test_int8_model_is_refused(command: Command, models: Path, words: Bundle) -> None:
    quantized(command, "words")
    said = complaint(command("model", "quantize", "words-int8"))
    assert said.endswith("words-int8/model.onnx: is int8; only float32 is quantized")
    assert not (models / "words-int8-int8").exists()


@pytest.mark.parametrize("name", ["default", "../words"])
def test_invalid_model_name_is_refused(command: Command, words: Bundle, name: str) -> None:
    assert repr(name) in complaint(command("model", "quantize", "words", "--name", name))


def test_unknown_model_suggests_the_nearest(command: Command, words: Bundle) -> None:
    assert "similar names: words" in complaint(command("model", "quantize", "word"))


# While it is made.


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("method", ["per-token", "dynamic"])
def test_convert_with_quantize_equals_quantize_later(
    command: Command, models: Path, tmp_path: Path, family: str, method: str
) -> None:
    source = published.write(tmp_path / "x", published.safetensors(CONFIGS[family]))
    assert command("model", "convert", source, "--name", "float", "--knows-no-answer").code == 0
    quantized(command, "float", "--method", method, "--name", "two-steps")
    done = command(
        "model", "convert", source, "--name=one", "--knows-no-answer", "--quantize", method
    )
    assert (done.code, done.err) == (0, "")
    one, two = (open_bundle(models / name).manifest for name in ("one", "two-steps"))
    assert one == two.model_copy(update={"name": "one"})
    assert one.sha256 != open_bundle(models / "float").manifest.sha256
    assert (one.precision, one.knows_no_answer, one.source) == ("int8", True, "x")


def test_int8_encoder_applies_pooling_options(
    command: Command, models: Path, tmp_path: Path
) -> None:
    source = published.write(tmp_path / "x", published.safetensors(DISTILBERT, head=False))
    options = ("--pooling", "cls", "--normalize", "--quantize", "per-token")
    assert command("model", "convert", source, *options).code == 0
    assert open_bundle(models / "x").manifest.pooling == Pooling(mode="cls", normalize=True)
    assert described(models / "x") == PER_TOKEN


def test_failed_quantization_leaves_no_bundle(
    command: Command, models: Path, tmp_path: Path
) -> None:
    # Eight numbers a vector: no layer is worth it.
    config = {**DISTILBERT, "dim": 9, "hidden_dim": 15}
    source = published.write(tmp_path / "x", published.safetensors(config))
    said = complaint(command("model", "convert", source, "--quantize", "per-token"))
    assert said == "x/model.onnx: has no linear layer to quantize"
    assert list(models.iterdir()) == []


@pytest.mark.process
def test_pull_with_quantize(tmp_path: Path) -> None:
    with hub_server() as hub:
        commit = hub.put("ada/tiny", published.safetensors(DISTILBERT))
        machine = Machine(tmp_path, hub)
        done = machine.run("model", "pull", "ada/tiny", "--quantize", "per-token")
    assert (done.code, done.err) == (0, "")
    manifest: Manifest = open_bundle(machine.models / "tiny").manifest
    assert described(machine.models / "tiny") == PER_TOKEN
    assert (manifest.source, manifest.revision) == ("ada/tiny", commit.sha)
    assert machine.hidden() == []
