"""What `qa-worker run` says of the model that it opens."""

from pathlib import Path

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from tests.inference.bundles import write_bundle
from tests.inference.manifests import calibration
from worker.cli.run import open_engine
from worker.settings.environment import load


@pytest.mark.parametrize(
    ("asked", "knows", "warnings"),
    [
        ("true", False, ["model_lacks_no_answer_training"]),
        ("true", True, []),
        ("false", False, []),
        ("auto", False, []),
        ("auto", True, []),
    ],
)
def test_no_answer_without_training_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, knows: bool, warnings: list[str]
) -> None:
    directory = write_bundle(tmp_path / "tiny", knows_no_answer=knows)
    monkeypatch.setenv("QA_MODEL", str(directory))
    monkeypatch.setenv("QA_NO_ANSWER", asked)
    with capture_logs() as logged:
        open_engine(load()).close()
    assert [entry["event"] for entry in logged] == warnings


@pytest.mark.parametrize(
    ("normalization", "warnings"), [("joint", []), ("per_window", ["calibration_unused"])]
)
def test_a_calibration_without_joint_scores_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, normalization: str, warnings: list[str]
) -> None:
    fitted = calibration(temperature=2.0).model_dump()
    monkeypatch.setenv("QA_MODEL", str(write_bundle(tmp_path / "tiny", calibration=fitted)))
    monkeypatch.setenv("QA_SCORE_NORMALIZATION", normalization)
    with capture_logs() as logged:
        open_engine(load()).close()
    assert [entry["event"] for entry in logged] == warnings


def test_info_metric_names_model_and_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_MODEL", str(write_bundle(tmp_path / "tiny")))
    open_engine(load()).close()
    shown = generate_latest().decode()
    (line,) = [line for line in shown.splitlines() if line.startswith("qa_worker_info")]
    assert 'model="tiny"' in line
    assert 'provider="cpu"' in line
