"""`qa-worker model verify`: what a model does, shown in a table, and when that is not enough."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.question import Question
from tests.cli.conftest import KNOWN, Command
from tests.cli.output import complaint, line, rows
from tests.cli.squad_files import random_questions, squad, three_questions
from tests.inference.bundles import SPECIALS, WORDS, bert_tokenizer, write_bundle
from tests.inference.embeddings import write_embedding_bundle
from tests.inference.graphs import table_model
from tests.model_tools.int8_models import DISTILBERT, wide_weights
from tests.model_tools.word_models import word_bundle
from worker.model_tools.build import quantize_bundle
from worker.model_tools.manifest_writer import Provenance
from worker.model_tools.quantize.quantize import Method
from worker.models.bundle import Bundle
from worker.models.manifest import MANIFEST


@pytest.fixture
def words(tmp_path: Path) -> Bundle:
    """A float32 model of random weights."""
    return word_bundle(tmp_path / "words", DISTILBERT, wide_weights(DISTILBERT))


def int8(bundle: Bundle, name: str, method: Method) -> Path:
    target = bundle.directory.with_name(name)
    origin = Provenance.of(bundle.manifest, name)
    return quantize_bundle(bundle, target, origin, method=method).bundle.directory


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return three_questions(tmp_path)


@pytest.fixture
def random_data(tmp_path: Path) -> Path:
    return random_questions(tmp_path, DISTILBERT)


def verified(command: Command, *arguments: str | Path) -> dict[str, str]:
    done = command("model", "verify", *arguments)
    assert done.code == 0, done.err
    return rows(done.out)


def manifest(directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((directory / MANIFEST).read_bytes())
    return content


# A model alone.


def test_selected_model_runs_alone_and_in_batches(command: Command, tiny: Path) -> None:
    shown = verified(command)
    assert shown["model"] == "tiny (question-answering, float32)"
    assert shown["files"] == "complete, sha256 as in the manifest"
    assert shown["runs"] == "windows of 8 and of 32 tokens"
    assert int(shown["events read"]) > 10
    count, rest = shown["alone and in batches"].split(" ", 1)
    assert int(count) > int(shown["events read"])
    assert rest == "windows are bit-equal; the manifest says batch-invariant"
    assert len(shown) == 5


def test_embedder_reads_each_context_once(command: Command, tiny: Path, tmp_path: Path) -> None:
    embedder = write_embedding_bundle(tmp_path / "x", tokenizer=KNOWN)
    context = "b answer c"
    twice = [(Question(question=asked, context=context), ["answer"]) for asked in ("a", "b")]
    shown = verified(command, embedder, "--data", squad(tmp_path, *twice))
    assert shown["model"] == "tiny-vectors (embeddings, float32)"
    assert shown["events read"] == "1"
    assert not any(name.startswith("EM") for name in shown)


def test_batch_difference_is_shown(command: Command, words: Bundle, random_data: Path) -> None:
    dynamic = int8(words, "dynamic", Method.DYNAMIC)
    shown = verified(command, dynamic, "--data", random_data)["alone and in batches"]
    assert "windows differ by up to 0." in shown
    assert shown.endswith("the manifest says not batch-invariant")


def test_batch_difference_against_the_manifest_is_an_error(
    command: Command, words: Bundle, random_data: Path
) -> None:
    dynamic = int8(words, "dynamic", Method.DYNAMIC)
    (dynamic / MANIFEST).write_text(json.dumps({**manifest(dynamic), "batch_invariant": True}))
    done = command("model", "verify", dynamic, "--data", random_data)
    assert done.code == 1
    assert rows(done.out)["alone and in batches"].endswith("the manifest says batch-invariant")
    said = line(done)
    assert said.startswith("dynamic: outputs of windows in a batch differ by up to 0.")
    assert said.endswith("but manifest.json says batch_invariant; build the bundle again")


def test_per_token_model_is_batch_invariant(
    command: Command, words: Bundle, random_data: Path
) -> None:
    shown = verified(command, int8(words, "per-token", Method.PER_TOKEN), "--data", random_data)
    assert "windows are bit-equal; the manifest says batch-inv" in shown["alone and in batches"]


def test_model_that_does_not_run_is_an_error(command: Command, tmp_path: Path) -> None:
    # Its tokenizer has a word that its model does not know.
    said = complaint(command("model", "verify", write_bundle(tmp_path / "x")))
    assert "the tokenizer's last, do not run: " in said


def test_changed_file_is_an_error(command: Command, tiny: Path) -> None:
    (tiny / "config.json").write_text("{}")
    assert "config.json is not the file that" in complaint(command("model", "verify"))


# Beside another one.


def test_model_equals_itself(command: Command, tiny: Path, data: Path) -> None:
    shown = verified(command, tiny, "--against", tiny, "--data", data)
    assert shown["against"] == "tiny (float32)"
    assert shown["largest difference"] == "0 (mean 0)"
    assert shown["equal answers"] == "100.0000% of 3"


def test_int8_model_is_close_to_float32(command: Command, words: Bundle, random_data: Path) -> None:
    per_token = int8(words, "per-token", Method.PER_TOKEN)
    shown = verified(command, per_token, "--against", words.directory, "--data", random_data)
    assert shown["model"] == "per-token (question-answering, int8)"
    assert shown["against"] == "words (float32)"
    largest, mean = shown["largest difference"].removesuffix(")").split(" (mean ")
    assert 0 < float(mean) < float(largest) < 0.5
    share, total = shown["equal answers"].split(" of ")
    assert (float(share.removesuffix("%")) > 70, total) == (True, "12")


def test_different_answers_are_counted(
    command: Command, tiny: Path, tmp_path: Path, data: Path
) -> None:
    places = [[0.0] * len(SPECIALS) + [float(word == wanted) for word in WORDS] for wanted in "bc"]
    other = write_bundle(
        tmp_path / "other", model=table_model(*places), tokenizer=KNOWN, name="other"
    )
    shown = verified(command, tiny, "--against", other, "--data", data)
    assert shown["equal answers"] == "0.0000% of 3"
    assert shown["largest difference"].startswith("6 (mean ")


def test_embedders_are_compared_by_cosine(
    command: Command, words: Bundle, tmp_path: Path, random_data: Path
) -> None:
    weights = wide_weights(DISTILBERT, head=False)
    embedder = word_bundle(tmp_path / "embedder", DISTILBERT, weights)
    per_token = int8(embedder, "per-token", Method.PER_TOKEN)
    shown = verified(command, per_token, "--against", embedder.directory, "--data", random_data)
    assert 0.99 < float(shown["least cosine"]) < 1
    assert "equal answers" not in shown


def test_different_tasks_are_not_compared(command: Command, tiny: Path, tmp_path: Path) -> None:
    embedder = write_embedding_bundle(tmp_path / "x", tokenizer=KNOWN)
    said = complaint(command("model", "verify", "--against", embedder))
    assert said == (
        "tiny is for question-answering, tiny-vectors for embeddings; "
        "only models for one task can be compared"
    )


def test_different_tokenizers_are_not_compared(
    command: Command, tiny: Path, tmp_path: Path, data: Path
) -> None:
    halves = bert_tokenizer(["an", "##swer", *"abcdefgh"])
    other = write_bundle(tmp_path / "other", tokenizer=halves)
    said = complaint(command("model", "verify", "--against", other, "--data", data))
    assert said == "the two models' tokenizers split a text differently"
