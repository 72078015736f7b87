"""`qa-worker answers compare` on files: its tables, its JSON, its exit code and its errors."""

import json
from pathlib import Path

import pytest

from tests.answers.events import FLOAT, INT8, answer_event, write_lines
from tests.cli.conftest import Command


@pytest.fixture
def left(tmp_path: Path) -> Path:
    events = [answer_event(n, "Ada Lovelace") for n in range(4)]
    return write_lines(tmp_path / "left.jsonl", [*events, answer_event(4, ""), answer_event(9)])


@pytest.fixture
def right(tmp_path: Path) -> Path:
    """The answers to 0 and 1 are the same; those to 2, 3 and 4 differ."""
    events = [
        answer_event(0, "Ada Lovelace", score=0.75),
        answer_event(1, "Ada Lovelace"),
        answer_event(2, "Ada"),
        answer_event(3, "Eve", score=0.9),
        answer_event(4, "Ada"),
        answer_event(4, "Ada"),
    ]
    return write_lines(tmp_path / "right.jsonl", [{**each, "model": FLOAT} for each in events])


def gold_file(directory: Path, answers: dict[str, list[str]]) -> Path:
    """A SQuAD file with these gold answers by id."""
    questions = [
        {
            "id": each,
            "question": "Who?",
            "answers": [{"text": text, "answer_start": 0} for text in gold],
        }
        for each, gold in answers.items()
    ]
    file = directory / "gold.json"
    paragraphs = [{"context": "Ada Lovelace and Eve.", "qas": questions}]
    file.write_text(json.dumps({"data": [{"title": "ours", "paragraphs": paragraphs}]}))
    return file


def cells(out: str) -> dict[str, list[str]]:
    """First cell of each row of the tables to the others; rows that go on have no first cell."""
    rows = [line.split("│")[1:-1] for line in out.splitlines() if line.startswith("│")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


def test_tables_have_sides_pairs_and_the_worst_differences(
    command: Command, left: Path, right: Path
) -> None:
    done = command("answers", "compare", "--left", left, "--right", right)
    assert (done.code, done.err) == (0, "")
    shown = cells(done.out)
    assert shown["models"] == [f"default (int8, {'a' * 12})", f"candidate (float32, {'b' * 12})"]
    assert shown["answers"] == ["6", "5"]
    assert shown["duplicates"] == ["0", "1"]
    assert shown["on this side only"] == ["1", "0"]
    assert shown["all"] == ["5", "100.00 %"]
    assert shown["same span, or no answer on both sides"] == ["2", "40.00 %"]
    assert shown["only right has an answer"] == ["1", "20.00 %"]
    assert shown["score, right - left"][0] == "+0.1300"
    assert "record time, right - left, s" not in shown
    assert shown["q-3"] == ["0.00", "Ada Lovelace", "0.5000", "Eve", "0.9000"]
    assert shown["q-4"][1] == "(no answer)"
    differences = [row for row in shown if row.startswith("q-")]
    assert differences == ["q-3", "q-4", "q-2"]


def test_json_is_one_document(command: Command, left: Path, right: Path) -> None:
    done = command("answers", "compare", "--left", left, "--right", right, "--json", "--show", "1")
    document = json.loads(done.out)
    assert document["left"] == {
        "name": str(left),
        "answers": 6,
        "duplicates": 0,
        "out_of_sample": 0,
        "rejected": 0,
        "not_answers": 0,
        "only": 1,
        "models": [{**INT8, "revision": None, "provider": "cpu", "answers": 6}],
    }
    assert (document["pairs"], document["same"], document["differ"]) == (5, 2, 3)
    assert document["share_that_differs"] == 0.6
    assert document["answered"] == {"both": 4, "only_left": 0, "only_right": 1, "neither": 0}
    assert document["f1"]["quantiles"]["0.5"] == pytest.approx(2 / 3)
    assert (document["delay_seconds"], document["gold"]) == (None, None)
    (worst,) = document["differences"]
    assert (worst["id"], worst["f1"]) == ("q-3", 0)
    assert worst["right"]["answer"] == "Eve"
    assert worst["source"] == "qa.questions-0-3"


@pytest.mark.parametrize(("most", "code"), [("0.6", 0), ("0.59", 1), ("0", 1), ("1", 0)])
def test_more_differences_than_allowed_exit_with_1(
    command: Command, left: Path, right: Path, most: str, code: int
) -> None:
    done = command("answers", "compare", "--left", left, "--right", right, "--max-differ", most)
    complaint = f"3 of 5 pairs differ: a share of 0.6, more than --max-differ {most}"
    assert (done.code, done.err) == (code, f"qa-worker: {complaint}\n" if code else "")
    assert "all" in cells(done.out)


def test_gold_answers_to_other_questions_are_one_line(
    command: Command, tmp_path: Path, left: Path, right: Path
) -> None:
    gold = gold_file(tmp_path, {"another": ["Ada"]})
    done = command("answers", "compare", "--left", left, "--right", right, "--gold", gold)
    assert (done.code, done.out) == (1, "")
    assert (
        done.err == f"qa-worker: no pair has an id of a question in {gold}: nothing to score with\n"
    )


def test_gold_answers_score_both_sides_on_their_pairs(
    command: Command, tmp_path: Path, left: Path, right: Path
) -> None:
    ada = {f"q-{n}": ["Ada Lovelace"] for n in range(3)}
    gold = gold_file(tmp_path, {**ada, "q-3": ["Eve"], "q-4": [], "q-9": ["Ada"]})
    done = command("answers", "compare", "--left", left, "--right", right, "--gold", gold)
    shown = cells(done.out)
    # Left is right in 0, 1, 2 and 4, right in 0, 1 and 3.
    assert shown["EM"] == ["80.00", "60.00"]
    assert shown["F1"] == ["80.00", f"{100 * (3 + 2 / 3) / 5:.2f}"]
    assert shown["right on this side only"] == ["2", "1"]
    assert (
        "5 of the file's 6 questions; McNemar's test of EM: exact p = 1, mid-p = 0.625" in done.out
    )
    done = command("answers", "compare", "--left", left, "--right", right, "--gold", gold, "--json")
    scored = json.loads(done.out)["gold"]
    assert scored["questions"] == 5
    assert scored["left"]["exact_match"] == 80
    assert scored["mcnemar"] == {"exact_p": 1.0, "mid_p": 0.625}


def test_outputs_of_read_are_compared_by_id(
    command: Command, tmp_path: Path, tiny_model: Path
) -> None:
    questions = [
        {"id": "q-1", "question": "a", "context": "b answer c"},
        {"id": "q-2", "question": " ", "context": "b answer c"},
    ]
    events, out = write_lines(tmp_path / "in.jsonl", questions), tmp_path / "out.jsonl"
    assert command("read", events, "--out", out).code == 1
    sides = ("answers", "compare", "--left", out, "--right", out)
    done = command(*sides)
    assert done.code == 1
    assert "has no source" in done.err
    assert "--by id" in done.err
    document = json.loads(command(*sides, "--by", "id", "--json").out)
    assert (document["pairs"], document["same"], document["left"]["rejected"]) == (1, 1, 1)


def test_a_file_of_other_events_is_one_line(command: Command, tmp_path: Path, left: Path) -> None:
    questions = write_lines(tmp_path / "q.jsonl", [{"id": "q-1", "question": "a", "context": "b"}])
    done = command("answers", "compare", "--left", left, "--right", questions)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("qa-worker: no pair of answers with the same source: ")
    assert f"{questions} has 0 answers, 1 records that are not answers (line 1: answer" in done.err


def test_notes_tell_what_is_left_out(command: Command, tmp_path: Path, left: Path) -> None:
    events = [
        {**answer_event(0), "id": "other"},
        answer_event(1, offsets="bytes"),
        {"no": "answer"},
    ]
    right = write_lines(tmp_path / "right.jsonl", events)
    done = command("answers", "compare", "--left", left, "--right", right, "--limit", "1")
    assert done.code == 0
    units, ids, *rest = done.err.splitlines()
    assert units.startswith("note: 1 pairs have offsets in different units")
    assert ids.startswith("note: 1 answers have the same source and different ids")
    assert "on this side only" not in cells(done.out)
    assert any("--limit" in line for line in rest)


def test_a_sample_compares_that_share_of_the_ids(command: Command, left: Path, right: Path) -> None:
    sides = ("answers", "compare", "--left", left, "--right", right, "--json", "--sample")
    document = json.loads(command(*sides, "0.4").out)
    # The first byte of the SHA-256 of q-1 is 0x8A, so it is out; those of the others are in.
    assert document["pairs"] == 4
    assert [document["left"][name] for name in ("out_of_sample", "only")] == [1, 1]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--sample", "0"], "0 is not a share above 0, up to 1"),
        (["--max-differ", "2"], "--max-differ"),
        (["--by", "key"], "--by"),
        (["--since", "noon"], "'noon' is not an ISO 8601 time"),
        (["--show", "-1"], "--show"),
        (["--gold", "missing.json"], "--gold"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_invalid_options_are_refused(
    command: Command, left: Path, options: list[str], complaint: str
) -> None:
    done = command("answers", "compare", "--left", left, "--right", left, *options)
    assert (done.code, done.out) == (2, "")
    assert complaint in done.err


def test_a_name_that_is_neither_file_nor_topic_is_one_line(command: Command, left: Path) -> None:
    done = command("answers", "compare", "--left", left, "--right", "no/such.jsonl")
    assert (done.code, done.out) == (1, "")
    assert done.err == ("qa-worker: 'no/such.jsonl' is neither a file nor the name of a topic\n")


def test_a_missing_file_without_brokers_is_named(command: Command, left: Path) -> None:
    done = command("answers", "compare", "--left", left, "--right", "missing.jsonl")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("qa-worker: there is no file 'missing.jsonl', and to read a topic")
