"""`qa-worker read`: one line out for one line in, and a run that was cut off goes on."""

import fcntl
from pathlib import Path

import pytest

from schemas.answer import Answer
from tests.cli.conftest import KNOWN, Command
from tests.cli.event_files import line, outcomes
from tests.inference.bundles import POISON, write_bundle

pytestmark = pytest.mark.usefixtures("tiny_model")


LINES = [
    line(id="first", metadata={"n": 10**30}),
    line(),
    "no json",
    "",
    line(id="blank", question=" "),
    line(id="poisoned", context=f"b {POISON}"),
    line(id="last", context="b " * 100),
]
NAMES = ["first", "line-2", "line-3", "blank", "poisoned", "last"]


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join(LINES))
    return file


@pytest.fixture
def target(questions: Path) -> Path:
    return questions.with_suffix(".answers.jsonl")


def test_read_writes_one_outcome_per_line_in_order(
    command: Command, questions: Path, target: Path
) -> None:
    done = command("read", questions)
    assert (done.code, done.out) == (1, "")
    assert "6 read, 0 already done" in done.err
    assert "3 of 6 events are rejected, the first in line 3: not_json: " in done.err
    assert [outcome["id"] for outcome in outcomes(target)] == NAMES


def test_outcomes_are_answer_events(command: Command, questions: Path, target: Path) -> None:
    command("read", questions)
    first = Answer.model_validate(outcomes(target)[0])
    assert (first.answer, first.metadata) == ("answer", {"n": 10**30})


def test_a_question_may_have_passages(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "passages.jsonl"
    passages = [{"text": "b second c"}, {"id": "p", "text": "b answer c", "metadata": {"n": 1}}]
    lines = [
        line(id="two", context=None, contexts=passages),
        line(id="both", contexts=passages),
        line(id="many", context=None, contexts=passages * 51),
    ]
    file.write_text("\n".join(lines))
    assert command("read", file).code == 1
    two, *rejected = outcomes(file.with_suffix(".answers.jsonl"))
    answer = Answer.model_validate(two)
    assert (answer.answer, answer.context_index, answer.context_id) == ("answer", 1, "p")
    reasons = [(each["id"], each["rejected"]["reason"]) for each in rejected]
    assert reasons == [("both", "schema"), ("many", "context_too_long")]


def test_rejections_keep_their_line_and_reason(
    command: Command, questions: Path, target: Path
) -> None:
    command("read", questions)
    rejected = [
        (outcome["line"], outcome["rejected"]["reason"])
        for outcome in outcomes(target)
        if "rejected" in outcome
    ]
    assert rejected == [(3, "not_json"), (5, "schema"), (6, "model_failed")]


def test_read_answers_expired_questions(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "old.jsonl"
    file.write_text(
        "\n".join(line(expires_at=at) for at in ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00"))
    )
    assert command("read", file).code == 1
    old, no_zone = outcomes(file.with_suffix(".answers.jsonl"))
    assert old["answered"]
    assert no_zone["rejected"]["reason"] == "schema"


def test_read_resumes_after_any_cut(command: Command, questions: Path, target: Path) -> None:
    command("read", questions)
    whole = target.read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    for cut in [0, 1, 5, 20, ends[0] - 1, ends[0], ends[0] + 1, ends[2], ends[4] + 30, ends[5]]:
        target.write_bytes(whole[:cut])
        done = command("read", questions)
        assert (done.code, target.read_bytes() == whole) == (1, True), f"cut at {cut}"
        there = sum(end <= cut for end in ends)
        assert f"{6 - there} read" in done.err
        assert f"{there} already done" in done.err


def test_read_of_a_finished_file_changes_nothing(
    command: Command, questions: Path, target: Path
) -> None:
    command("read", questions)
    whole = target.read_bytes()
    assert "0 read, 6 already done" in command("read", questions).err
    assert target.read_bytes() == whole


def test_out_names_the_output_file(command: Command, questions: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere.jsonl"
    assert command("read", questions, "--out", out).code == 1
    assert [outcome["id"] for outcome in outcomes(out)] == NAMES


@pytest.mark.parametrize(
    "content", [b"precious", b"precious\n", b'{"id": "first"}\n', b"[", b'{"id":'], ids=repr
)
def test_read_never_changes_an_unrelated_file(
    command: Command, questions: Path, target: Path, content: bytes
) -> None:
    target.write_bytes(content)
    done = command("read", questions)
    assert (done.code, done.out) == (2, "")
    assert f"{target}.run.json is missing" in done.err
    assert target.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"precious\n", "its line 1 is not an outcome"),
        (b"[1]\n", "its line 1 is not an outcome"),
        (b'{"id": "first"}\n{"name": "x"}\n', "its line 2 is not an outcome"),
        (b'{"id": "first", "rejected": 5, "line": 1}\n', "its line 1 is not an outcome"),
        (b"\xff\xfe\n", "its line 1 is not an outcome"),
        (b'{"id": "first"}\n' * 7, "it has 7 lines for 6 events"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_read_never_changes_a_file_that_replaced_its_output(
    command: Command, questions: Path, target: Path, content: bytes, problem: str
) -> None:
    command("read", questions)
    target.write_bytes(content)
    done = command("read", questions)
    assert (done.code, done.out) == (2, "")
    assert problem in done.err
    assert target.read_bytes() == content


def test_a_changed_input_is_not_resumed(command: Command, questions: Path, target: Path) -> None:
    command("read", questions)
    kept = target.read_bytes()
    # The answer to another question of the same context could look the same.
    questions.write_text(questions.read_text().replace('"question": "a"', '"question": "c"', 1))
    done = command("read", questions)
    assert (done.code, "the input has changed; delete it" in done.err) == (2, True)
    assert target.read_bytes() == kept


def test_another_model_does_not_resume(
    command: Command,
    questions: Path,
    target: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command("read", questions)
    target.write_bytes(kept := target.read_bytes().partition(b"\n")[0] + b"\n")
    monkeypatch.setenv("QA_MODEL", str(write_bundle(tmp_path / "other", name="other")))
    done = command("read", questions)
    assert (done.code, "the model was tiny, now other; delete it" in done.err) == (2, True)
    monkeypatch.setenv(
        "QA_MODEL", str(write_bundle(tmp_path / "new", name="tiny", tokenizer=KNOWN))
    )
    done = command("read", questions)
    assert (done.code, "the files of the model tiny have changed" in done.err) == (2, True)
    assert target.read_bytes() == kept


def test_other_settings_do_not_resume(
    command: Command, questions: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("read", questions)
    kept = target.read_bytes()
    monkeypatch.setenv("QA_THREADS", "1")  # changes no outcome
    assert "0 read, 6 already done" in command("read", questions).err
    monkeypatch.setenv("QA_TOP_K", "2")
    monkeypatch.setenv("QA_NO_ANSWER", "true")
    done = command("read", questions)
    assert done.code == 2
    assert "QA_NO_ANSWER was auto, now true, QA_TOP_K was 1, now 2; delete it" in done.err
    assert target.read_bytes() == kept


def test_two_runs_never_write_one_output(command: Command, questions: Path, target: Path) -> None:
    command("read", questions)
    kept = target.read_bytes()
    with target.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = command("read", questions)
        assert done.code == 2
        assert "another `qa-worker read` writes it now" in done.err
    assert target.read_bytes() == kept


@pytest.mark.parametrize("content", [b"", b"{", b"{}"])
def test_a_damaged_record_of_the_run_is_refused(
    command: Command, questions: Path, target: Path, content: bytes
) -> None:
    command("read", questions)
    kept = target.read_bytes()
    target.with_name(f"{target.name}.run.json").write_bytes(content)
    done = command("read", questions)
    assert (done.code, "does not say what it was made from" in done.err) == (2, True)
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
