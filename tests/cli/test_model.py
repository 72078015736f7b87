"""`qa-worker model`: what is in the store, what a bundle says, and how directories get there."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.forked import Done, run_forked
from tests.inference.bundles import write_bundle
from tests.model_tools import published_models as published
from tests.model_tools.random_weights import TINY_BERT
from worker.models.bundle import open_bundle
from worker.models.manifest import Manifest, Pooling, Task


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "models"
    monkeypatch.setenv("QA_MODELS", str(directory))
    return directory


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return published.write(tmp_path / "squad-tiny", published.export())


def added(command: Command, *arguments: str | Path) -> None:
    done = command("model", "add", *arguments)
    assert (done.code, done.err) == (0, "")


def complaint(done: Done) -> str:
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    return done.err


def cells(out: str, name: str) -> list[str]:
    """The row of a table that has `name` in one of its cells."""
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines()]
    (row,) = [row for row in rows if name in row]
    return row


# add


def test_add_names_a_bundle_after_its_directory(
    command: Command, models: Path, export: Path
) -> None:
    added(command, export)
    manifest = open_bundle(models / "squad-tiny").manifest
    assert (manifest.name, manifest.source) == ("squad-tiny", export.name)
    assert not manifest.knows_no_answer


def test_added_model_is_used_by_name(
    command: Command, models: Path, export: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    added(command, export, "--name", "mine", "--knows-no-answer")
    monkeypatch.setenv("QA_MODEL", "mine")
    asked = command("ask", "--question", "a", "--context", "b answer c", "--json")
    assert json.loads(asked.out)["answer"] == "answer"
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps({"question": "a", "context": "b answer c"}))
    assert command("read", file).code == 0
    (line,) = file.with_suffix(".answers.jsonl").read_text().splitlines()
    assert json.loads(line)["model"]["name"] == "mine"
    squad = tmp_path / "squad.json"
    asked_for = {"id": "1", "question": "a", "answers": [{"text": "answer", "answer_start": 2}]}
    paragraph = {"context": "b answer c", "qas": [asked_for]}
    squad.write_text(json.dumps({"data": [{"title": "t", "paragraphs": [paragraph]}]}))
    assert cells(command("evaluate", squad).out, "EM") == ["EM", "100.0000"]


def test_added_bundle_keeps_its_provenance(
    command: Command, models: Path, export: Path, tmp_path: Path
) -> None:
    added(command, export, "--knows-no-answer")
    elsewhere = (models / "squad-tiny").rename(tmp_path / "elsewhere")
    added(command, elsewhere, "--name", "again")
    first, second = open_bundle(elsewhere).manifest, open_bundle(models / "again").manifest
    assert second == first.model_copy(update={"name": "again"})
    assert second.knows_no_answer


def test_changed_bundle_is_not_added(command: Command, models: Path, export: Path) -> None:
    added(command, export)
    (models / "squad-tiny" / "config.json").write_text("{}")
    said = complaint(command("model", "add", models / "squad-tiny", "--name", "again"))
    assert "config.json is not the file that manifest.json lists" in said


def test_other_directory_is_not_added(command: Command, models: Path, tmp_path: Path) -> None:
    said = complaint(command("model", "add", published.write(tmp_path / "x", {"a.txt": b"a"})))
    assert "there is no config.json" in said
    assert not models.exists()


def test_existing_name_needs_replace(command: Command, models: Path, export: Path) -> None:
    added(command, export)
    assert "exists; choose another --name" in complaint(command("model", "add", export))
    added(command, export, "--replace", "--knows-no-answer")
    assert open_bundle(models / "squad-tiny").manifest.knows_no_answer


# convert


def test_convert_builds_a_bundle(command: Command, models: Path, tmp_path: Path) -> None:
    source = published.write(tmp_path / "bert-tiny", published.safetensors(TINY_BERT))
    done = command("model", "convert", source, "--knows-no-answer")
    assert (done.code, done.err) == (0, "")
    manifest = open_bundle(models / "bert-tiny").manifest
    assert (manifest.task, manifest.source) == (Task.QUESTION_ANSWERING, "bert-tiny")
    assert manifest.knows_no_answer


def test_convert_applies_pooling_options(command: Command, models: Path, tmp_path: Path) -> None:
    source = published.write(tmp_path / "x", published.safetensors(head=False))
    done = command(
        "model", "convert", source, "--name", "embedder", "--pooling", "cls", "--normalize"
    )
    assert (done.code, done.err) == (0, "")
    pooling = open_bundle(models / "embedder").manifest.pooling
    assert pooling == Pooling(mode="cls", normalize=True)


def test_pooling_is_refused_for_question_answering(
    command: Command, models: Path, tmp_path: Path
) -> None:
    source = published.write(tmp_path / "x", published.safetensors())
    said = complaint(command("model", "convert", source, "--pooling", "mean"))
    assert "x is for question-answering; pooling is for embeddings" in said


def test_convert_refuses_an_export(command: Command, models: Path, export: Path) -> None:
    said = complaint(command("model", "convert", export))
    assert "its weights are a pickle (pytorch_model.bin)" in said


def test_notes_are_printed(command: Command, models: Path, tmp_path: Path) -> None:
    files = {**published.vocabulary_alone(), "tokenizer_config.json": b"{}"}
    done = command("model", "convert", published.write(tmp_path / "x", files))
    assert done.code == 0
    assert done.err.startswith("note: no file sets do_lower_case, ")


# list


def test_list_marks_the_selected_model(
    command: Command, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.mkdir()
    scores = {"data": "dev", "questions": 2, "exact_match": 81.25, "f1": 88.5, "decoder": "joint"}
    write_bundle(models / "b", name="b", source="ada/b", revision="c0ffee" * 5, scores=[scores])
    write_bundle(models / "a", name="a")
    (models / ".c.x.qa-partial").mkdir()
    monkeypatch.setenv("QA_MODEL", "b")
    done = command("model", "list")
    assert (done.code, done.err) == (0, "")
    assert cells(done.out, "default")[:2] == ["", "default"]
    assert cells(done.out, "b") == [
        "*",
        "b",
        "question-answering",
        "float32",
        "0.0 MB",
        "81.25 / 88.50",
        "ada/b@c0ffeec0ffee",
    ]
    assert cells(done.out, "a")[0] == ""
    assert "qa-partial" not in done.out


def test_list_includes_a_selected_directory(
    command: Command, models: Path, tiny_model: Path
) -> None:
    assert cells(command("model", "list").out, str(tiny_model))[0] == "*"


def test_list_shows_errors_of_broken_bundles(command: Command, models: Path) -> None:
    (models / "broken").mkdir(parents=True)
    done = command("model", "list")
    assert done.code == 0
    assert "manifest.json" in done.out


# info


def test_info_shows_every_manifest_field(command: Command, models: Path) -> None:
    done = command("model", "info")
    assert (done.code, done.err) == (0, "")
    for field in set(Manifest.model_fields) - {"files", "scores"}:
        assert cells(done.out, field)
    assert cells(done.out, "name") == ["name", "default"]
    for name in ("model.onnx", "tokenizer.json", "config.json"):
        assert cells(done.out, name)[1].endswith("  ok")


def test_info_shows_scores_and_pooling(command: Command, models: Path, tmp_path: Path) -> None:
    scores = {"data": "dev", "questions": 2, "exact_match": 81.25, "f1": 88.5, "decoder": "joint"}
    directory = write_bundle(
        tmp_path / "x", task="embeddings", pooling={"mode": "cls"}, scores=[scores]
    )
    out = command("model", "info", directory).out
    assert "EM 81.2500, F1 88.5000 on 2 questions of dev, joint" in out
    assert cells(out, "pooling") == ["pooling", "mode: cls, layers: none, normalize: no"]


def test_info_marks_files_that_do_not_match(command: Command, models: Path) -> None:
    models.mkdir()
    directory = write_bundle(models / "x")
    (directory / "config.json").write_text("{}")
    (directory / "tokenizer.json").unlink()
    done = command("model", "info", "x")
    assert done.code == 1
    assert cells(done.out, "config.json")[1].endswith("  differs")
    assert cells(done.out, "tokenizer.json")[1].endswith("  missing")
    assert cells(done.out, "model.onnx")[1].endswith("  ok")


def test_unknown_name_suggests_the_nearest(command: Command, models: Path) -> None:
    models.mkdir()
    write_bundle(models / "squad")
    said = complaint(command("model", "info", "squat"))
    assert "similar names: squad, default." in said


def without_extra(*arguments: str) -> Done:
    return run_forked(*arguments, module="tests.cli.without_extra", environment=os.environ)


@pytest.mark.process
def test_running_needs_no_extra(tiny_model: Path) -> None:
    done = without_extra("ask", "--question", "a", "--context", "b answer c")
    assert (done.code, done.err) == (0, "")
    assert without_extra("model", "list").code == 0


@pytest.mark.process
@pytest.mark.parametrize(
    "arguments",
    [("pull", "ada/x"), ("add", "/"), ("convert", "/"), ("quantize", "default"), ("verify",)],
)
def test_missing_extra_is_named(arguments: tuple[str, ...]) -> None:
    said = complaint(without_extra("model", *arguments))
    assert said == (
        "qa-worker: not installed: huggingface_hub, httpx2, ml_dtypes, onnx, safetensors; "
        'run pip install "qa-worker[models]"\n'
    )
