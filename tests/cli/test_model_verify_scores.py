"""`qa-worker model verify --data`: EM and F1, shown and recorded."""

from pathlib import Path

import pytest

from schemas.question import Question
from tests.cli.conftest import KNOWN, Command
from tests.cli.output import complaint, rows
from tests.cli.squad_files import squad, three_questions
from tests.inference.bundles import SPECIALS, WORDS, write_bundle
from tests.inference.embeddings import write_embedding_bundle
from tests.inference.graphs import table_model
from worker.models.bundle import open_bundle
from worker.models.manifest import MANIFEST


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return three_questions(tmp_path)


def verified(command: Command, *arguments: str | Path) -> dict[str, str]:
    done = command("model", "verify", *arguments)
    assert done.code == 0, done.err
    return rows(done.out)


def test_both_models_are_scored(command: Command, tiny: Path, tmp_path: Path, data: Path) -> None:
    places = [[0.0] * len(SPECIALS) + [float(word == "second") for word in WORDS]] * 2
    other = write_bundle(
        tmp_path / "other", model=table_model(*places), tokenizer=KNOWN, name="other"
    )
    shown = verified(command, "--data", data, "--against", other)
    assert shown["EM, F1 of tiny"] == f"{100 / 3:.4f}, {100 * (1 + 0.5) / 3:.4f}"
    assert shown["EM, F1 of other"].startswith("0.0000, ")
    assert shown["events read"] == "3"


def test_questions_option_limits_the_file(command: Command, tiny: Path, data: Path) -> None:
    shown = verified(command, "--data", data, "--questions", "1")
    assert (shown["events read"], shown["EM, F1 of tiny"]) == ("1", "100.0000, 100.0000")


def test_rejected_question_scores_zero(command: Command, tiny: Path, tmp_path: Path) -> None:
    file = squad(
        tmp_path,
        (Question(question="a", context="b answer c"), ["answer"]),
        (Question(question="a " * 99, context="b answer c"), ["answer"]),
        (Question.model_construct(question=" ", context="b answer c"), ["answer"]),
    )
    shown = verified(command, "--data", file, "--against", tiny)
    assert shown["EM, F1 of tiny"] == f"{100 / 3:.4f}, {100 / 3:.4f}"
    assert (shown["events read"], shown["equal answers"]) == ("3", "100.0000% of 3")


def test_record_replaces_scores(command: Command, tiny: Path, data: Path) -> None:
    before = (tiny / MANIFEST).read_bytes()
    verified(command, "--data", data)
    assert (tiny / MANIFEST).read_bytes() == before
    for _ in range(2):
        verified(command, "--data", data, "--record")
        (scores,) = open_bundle(tiny).manifest.scores
        assert (scores.questions, scores.exact_match, scores.f1) == (3, 33.3333, 50.0)
        assert scores.data == "squad.json"
        assert "answers of at most 15 tokens" in scores.decoder
        assert scores.decoder.endswith("every question answered")
    assert "EM 33.3333, F1 50.0000 on 3 questions" in command("model", "info", tiny).out


def test_record_refuses_a_part_of_the_file(command: Command, tiny: Path, data: Path) -> None:
    before = (tiny / MANIFEST).read_bytes()
    done = command("model", "verify", tiny, "--data", data, "--record", "--questions", "1")
    assert "leave out --questions" in complaint(done)
    assert (tiny / MANIFEST).read_bytes() == before


def test_record_writes_only_the_models_own_scores(
    command: Command, tiny: Path, tmp_path: Path, data: Path
) -> None:
    zeros = [0.0] * (len(SPECIALS) + len(WORDS))
    other = write_bundle(tmp_path / "other", model=table_model(zeros, zeros), tokenizer=KNOWN)
    verified(command, "--data", data, "--against", other, "--record")
    (scores,) = open_bundle(tiny).manifest.scores
    assert (scores.exact_match, scores.f1) == (33.3333, 50.0)
    assert open_bundle(other).manifest.scores == ()


@pytest.mark.parametrize("kind", ["no data", "embeddings"])
def test_record_needs_data_and_question_answering(
    command: Command, tiny: Path, tmp_path: Path, data: Path, kind: str
) -> None:
    embedder = write_embedding_bundle(tmp_path / "x", tokenizer=KNOWN)
    arguments = ["--record"] if kind == "no data" else [embedder, "--record", "--data", data]
    said = complaint(command("model", "verify", *arguments))
    assert said == "--record needs --data and a model for question answering"


def test_other_data_file_is_an_error(command: Command, tiny: Path) -> None:
    said = complaint(command("model", "verify", "--data", tiny / MANIFEST))
    assert "manifest.json: not a SQuAD file: data is missing" in said


def test_unanswerable_questions_are_scored_apart(
    command: Command, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = Question(question="a", context="b answer c")
    file = squad(tmp_path, (question, ["answer"]), (question, []))
    done = command("model", "verify", "--data", file, "--record")
    assert rows(done.out)["of 1 unanswerable"] == "0.0000, 0.0000"
    assert "note: 1 of 2 questions are unanswerable and count as wrong: " in done.err
    monkeypatch.setenv("QA_NO_ANSWER", "true")
    done = command("model", "verify", "--data", file)
    assert "no answer allowed, threshold 0" in done.out
    assert "the model's manifest does not say that it was trained on such questions" in done.err
