"""Which lines of the training data are trained with, and which are held out."""

import json
from pathlib import Path

import pytest

from tests.model_tools.training.rows import CONTEXT, line, write
from worker.model_tools.evaluation.squad import load_squad
from worker.model_tools.training.held_out import squad_document
from worker.model_tools.training.rows import RowError, read_rows


def test_rows_for_tuning_are_held_out_and_no_others(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gz", line(id="1"), line(id="2", tune=True), line(id="3", tune=False))
    assert [each.id for each in read_rows([path], held_out=False)] == ["1", "3"]
    assert [each.id for each in read_rows([path], held_out=True)] == ["2"]


def test_the_source_with_an_uncertain_licence_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gz", line(id="1", src="nq_swap"), line(id="2"))
    assert [each.id for each in read_rows([path], held_out=False)] == ["2"]


def test_answer_offsets_are_code_points_of_the_context(tmp_path: Path) -> None:
    unanswerable = line(answers=[], kind="genuine")
    path = write(tmp_path / "a.gz", line(), unanswerable)
    answerable, other = read_rows([path], held_out=False)
    assert (answerable.start, answerable.end) == (17, 23)
    assert CONTEXT[17:23] == "Bergen"
    assert (other.start, other.end, other.kind) == (None, None, "genuine")


@pytest.mark.parametrize("wrong", [line(answers=[{"text": "Oslo", "start": 17}]), [], {"id": "1"}])
def test_a_line_that_is_not_a_row_is_named(tmp_path: Path, wrong: object) -> None:
    path = write(tmp_path / "a.gz", line(), wrong)
    with pytest.raises(RowError, match=r"a\.gz, line 2: not a row"):
        list(read_rows([path], held_out=False))


def test_held_out_rows_are_a_squad_file(tmp_path: Path) -> None:
    rows = write(
        tmp_path / "a.gz",
        line(id="1", tune=True),
        line(id="2", tune=True, title="Other"),
        line(id="3", tune=True, answers=[]),
    )
    path = tmp_path / "tune.json"
    path.write_text(json.dumps(squad_document(read_rows([rows], held_out=True))))
    examples = {each.id: each for each in load_squad(path)}
    assert {name: each.gold for name, each in examples.items()} == {
        "1": ("Bergen",),
        "2": ("Bergen",),
        "3": (),
    }
    assert {each.context for each in examples.values()} == {CONTEXT}
