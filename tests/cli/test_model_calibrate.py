"""`qa-worker model calibrate`: fits scores to a SQuAD file, and the worker uses the fit."""

import json
from pathlib import Path

import pytest

from schemas.question import Question
from tests.cli.conftest import Command
from tests.cli.squad_files import squad
from tests.inference.bundles import write_bundle
from worker.models.bundle import DEFAULT_BUNDLE, open_bundle

pytestmark = pytest.mark.long

SURE = Question(question="a", context="b answer c")
NOTHING = Question(question="a", context="b c d")


def mixed(directory: Path, *, impossible: int = 0) -> Path:
    """240 questions, of which the model gets two of three right with a score of 0.98 for all; and
    unanswerable ones between them.
    """
    asked = []
    for number in range(240):
        right = number % 3 < 2
        asked.append((SURE, ["answer" if right else "other"]))
        if number < impossible:
            asked.append((NOTHING, []))
    return squad(directory, *asked)


def asked_score(command: Command) -> float:
    done = command("ask", "--question", "a", "--context", SURE.context or "", "--json")
    outcome = json.loads(done.out)
    assert outcome["answer"] == "answer"
    return float(outcome["score"])


def test_the_fit_is_written_and_used(command: Command, tmp_path: Path, tiny_model: Path) -> None:
    before = asked_score(command)
    done = command("model", "calibrate", tiny_model, mixed(tmp_path))
    assert done.code == 0, done.err
    fitted = open_bundle(tiny_model).manifest.calibration
    assert fitted is not None
    assert (fitted.data, fitted.questions, fitted.no_answer_threshold) == ("squad.json", 240, None)
    assert fitted.temperature > 1.2
    assert fitted.ece_after < fitted.ece_before / 2
    assert f"{fitted.temperature:g}" in done.out
    after = asked_score(command)
    assert abs(after - 2 / 3) < abs(before - 2 / 3)
    assert "fitted to 240 questions of squad.json" in command("model", "info").out


def test_the_same_data_give_the_same_manifest(
    command: Command, tmp_path: Path, tiny_model: Path
) -> None:
    file = mixed(tmp_path)
    command("model", "calibrate", tiny_model, file)
    first = (tiny_model / "manifest.json").read_bytes()
    command("model", "calibrate", tiny_model, file)
    assert (tiny_model / "manifest.json").read_bytes() == first


def test_a_dry_run_changes_nothing(command: Command, tmp_path: Path, tiny_model: Path) -> None:
    before = (tiny_model / "manifest.json").read_bytes()
    done = command("model", "calibrate", tiny_model, mixed(tmp_path), "--dry-run")
    assert done.code == 0
    assert "temperature" in done.out
    assert (tiny_model / "manifest.json").read_bytes() == before


def test_unanswerable_questions_give_a_threshold(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = write_bundle(tmp_path / "knowing", knows_no_answer=True)
    monkeypatch.setenv("QA_MODEL", str(directory))
    done = command("model", "calibrate", directory, mixed(tmp_path, impossible=60))
    assert done.code == 0, done.err
    assert "F1 with no answer allowed" in done.out
    fitted = open_bundle(directory).manifest.calibration
    assert fitted is not None
    assert fitted.no_answer_threshold is not None
    assert "no answer allowed" in fitted.decoder
    asked = command("ask", "--question", "a", "--context", NOTHING.context or "", "--json")
    assert json.loads(asked.out)["answered"] is False


def test_a_threshold_that_is_set_is_the_one_before_and_stays_in_use(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = write_bundle(tmp_path / "knowing", knows_no_answer=True)
    monkeypatch.setenv("QA_NO_ANSWER_THRESHOLD", "7.5")
    done = command("model", "calibrate", directory, mixed(tmp_path, impossible=60), "--dry-run")
    assert done.code == 0, done.err
    (row,) = [line for line in done.out.splitlines() if "no-answer threshold" in line]
    assert "7.5" in row
    assert "note: QA_NO_ANSWER_THRESHOLD is set: workers use 7.5, not the fitted" in done.err


def test_the_shipped_model_stays_as_it_is(command: Command, tmp_path: Path) -> None:
    done = command("model", "calibrate", "default", mixed(tmp_path))
    assert done.code == 1
    assert done.err == (
        f"qa-worker: the shipped model is not changed, as it comes anew with each installation: "
        f"copy it (`qa-worker model add {DEFAULT_BUNDLE} --name NAME`), calibrate NAME and set "
        f"QA_MODEL=NAME; or look with --dry-run\n"
    )


def test_scores_for_each_window_are_not_calibrated(
    command: Command, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_SCORE_NORMALIZATION", "per_window")
    done = command("model", "calibrate", tiny_model, mixed(tmp_path))
    assert done.code == 1
    assert done.err.startswith("qa-worker: QA_SCORE_NORMALIZATION is per_window: ")


def test_too_few_questions_are_one_line(command: Command, tmp_path: Path, tiny_model: Path) -> None:
    file = squad(tmp_path, (SURE, ["answer"]))
    done = command("model", "calibrate", tiny_model, file)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"qa-worker: {file} has 1 questions; a calibration takes 200 or more\n"


def test_answers_that_are_all_right_are_one_line(
    command: Command, tmp_path: Path, tiny_model: Path
) -> None:
    done = command("model", "calibrate", tiny_model, squad(tmp_path, *[(SURE, ["answer"])] * 200))
    assert done.code == 1
    assert "all of 100 answers are right: scores can be fitted only to data" in done.err
