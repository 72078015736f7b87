"""`qa-worker read`: one line out for one line in, and a run that was cut off goes on."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.answer import Answer
from tests.cli.conftest import Command
from tests.inference.bundles import POISON

pytestmark = pytest.mark.usefixtures("tiny_model")


def line(**fields: Any) -> str:
    return json.dumps({"question": "a", "context": "b answer c", **fields})


LINES = [
    line(id="first", metadata={"n": 10**30}),
    line(),
    "no json",
    "",
    line(id="blank", question=" "),
    line(id="poisoned", context=f"b {POISON}"),
    line(id="last", context="b " * 100),
]
NAMES = ["first", "line-2", "line-3", "line-4", "poisoned", "last"]


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join(LINES))
    return file


@pytest.fixture
def target(questions: Path) -> Path:
    return questions.with_suffix(".answers.jsonl")


def outcomes(target: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in target.read_bytes().splitlines()]


def test_read_writes_one_outcome_per_line_in_order(
    command: Command, questions: Path, target: Path
) -> None:
    done = command("read", questions)
    assert (done.code, done.out) == (0, "")
    assert "6 read, 3 rejected, 0 already done" in done.err
    assert [outcome["id"] for outcome in outcomes(target)] == NAMES


def test_outcomes_are_answer_events(command: Command, questions: Path, target: Path) -> None:
    command("read", questions)
    first = Answer.model_validate(outcomes(target)[0])
    assert (first.answer, first.metadata) == ("answer", {"n": 10**30})


def test_rejections_keep_their_line_and_reason(
    command: Command, questions: Path, target: Path
) -> None:
    command("read", questions)
    rejected = [outcome.get("rejected", {}).get("reason") for outcome in outcomes(target)]
    assert rejected == [None, None, "not_json", "schema", "model_failed", None]


def test_read_resumes_after_any_cut(command: Command, questions: Path, target: Path) -> None:
    command("read", questions)
    whole = target.read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    for cut in [0, 1, 5, 20, ends[0] - 1, ends[0], ends[0] + 1, ends[2], ends[4] + 30, ends[5]]:
        target.write_bytes(whole[:cut])
        done = command("read", questions)
        assert (done.code, target.read_bytes() == whole) == (0, True), f"cut at {cut}"
        there = sum(end <= cut for end in ends)
        assert f"{6 - there} read" in done.err
        assert f"{there} already done" in done.err


def test_read_of_a_finished_file_changes_nothing(
    command: Command, questions: Path, target: Path
) -> None:
    command("read", questions)
    whole = target.read_bytes()
    assert "0 read, 0 rejected, 6 already done" in command("read", questions).err
    assert target.read_bytes() == whole


def test_out_names_the_output_file(command: Command, questions: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere.jsonl"
    assert command("read", questions, "--out", out).code == 0
    assert [outcome["id"] for outcome in outcomes(out)] == NAMES


@pytest.mark.parametrize(
    "content",
    [
        b"precious",
        b"precious\n",
        b"precious\nand cut",
        b'{"id": "another"}\n',
        b'{"id": ["first"]}\n',
        b'{"name": "first"}\n',
        b"[1]\n",
        b"\xff\xfe\n",
        b'{"id": "first"}\n' * 2,
        b'{"id": "last"}\n' * 7,
        b"[",
        b'{"identity": 1',
    ],
)
def test_read_never_changes_an_unrelated_file(
    command: Command, questions: Path, target: Path, content: bytes
) -> None:
    target.write_bytes(content)
    done = command("read", questions)
    assert (done.code, done.out) == (2, "")
    assert "is not the output of this input" in done.err
    assert target.read_bytes() == content


def test_read_never_changes_the_output_of_another_input(
    command: Command, questions: Path, target: Path
) -> None:
    questions.write_text(line(context="answer first"))
    command("read", str(questions))
    kept = target.read_bytes()
    assert json.loads(kept)["id"] == "line-1"
    questions.write_text("\n".join([line(context="something else"), line()]))
    assert command("read", str(questions)).code == 2
    assert target.read_bytes() == kept


def test_input_and_output_must_differ(command: Command, questions: Path) -> None:
    before = questions.read_bytes()
    done = command("read", questions, "--out", questions)
    assert done.code == 2
    assert "is the input" in done.err
    assert questions.read_bytes() == before


def test_unwritable_output_is_one_error_line(command: Command, questions: Path) -> None:
    done = command("read", questions, "--out", "/nowhere/answers.jsonl")
    assert done.code == 1
    assert "No such file or directory" in done.err.splitlines()[-1]


def test_empty_input_gives_an_empty_output(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_text("\n \n")
    assert "0 read" in command("read", file).err
    assert file.with_suffix(".answers.jsonl").read_bytes() == b""
