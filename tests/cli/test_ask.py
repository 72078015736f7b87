"""`qa-worker ask` without a broker: one question, read here."""

import json
from pathlib import Path

import pytest

from schemas.answer import Answer
from tests.cli.conftest import Command

QUESTION = ("--question", "a")
CONTEXT = "In 1843 answer b c second."


@pytest.fixture
def command(command: Command, tiny_model: Path) -> Command:
    """With the tiny model, which opens in milliseconds."""
    return command


@pytest.mark.long
def test_the_default_model_answers(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QA_MODEL")
    context = "In 1843 Ada Lovelace wrote the first algorithm, for Babbage's machine."
    done = command("ask", "--question", "Who wrote the first algorithm?", "--context", context)
    assert (done.code, done.err) == (0, "")
    assert "In 1843 ▸Ada Lovelace◂ wrote" in done.out
    assert "8-20" in done.out


def test_json_output_is_one_answer_event(command: Command) -> None:
    done = command("ask", *QUESTION, "--context", CONTEXT, "--json")
    answer = Answer.model_validate_json(done.out)
    assert (answer.answer, answer.start, answer.end) == ("answer", 8, 14)
    assert done.out.count("\n") == 1


def test_json_output_has_no_markup_and_is_not_wrapped(command: Command) -> None:
    context = "[bold]answer[/bold] " + "a b c d " * 60
    done = command("ask", "--question", "a", "--context", context, "--json", "--top-k", "20")
    answer = Answer.model_validate_json(done.out)
    assert all(context[span.start : span.end] == span.answer for span in answer.answers)


def test_table_counts_code_points_whatever_the_worker_counts(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_OFFSETS", "bytes")
    context = f"👍 {CONTEXT}"
    start = context.index("answer")
    done = command("ask", *QUESTION, "--context", context)
    assert f"{start}-{start + 6}" in done.out
    assert "▸answer◂" in done.out

    answer = json.loads(command("ask", *QUESTION, "--context", context, "--json").out)
    assert (answer["offsets"], answer["start"]) == ("bytes", start + 3)


def test_top_k_sets_the_number_of_spans(command: Command) -> None:
    done = command("ask", *QUESTION, "--context", CONTEXT, "--top-k", "3")
    assert done.out.count("▸") == 3
    assert (
        len(
            json.loads(
                command("ask", *QUESTION, "--context", CONTEXT, "--json", "--top-k", "3").out
            )["answers"]
        )
        == 3
    )


def test_expired_question_is_rejected(command: Command) -> None:
    done = command("ask", *QUESTION, "--context", CONTEXT, "--expires-in", "0")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("qa-worker: rejected, expired: the deadline 2")
    done = command("ask", *QUESTION, "--context", CONTEXT, "--expires-in", "3600")
    assert "▸answer◂" in done.out
    done = command("ask", *QUESTION, "--context", CONTEXT, "--expires-in", "1e300")
    assert "is after the year 9999" in done.err


def test_context_from_a_file(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "context.txt"
    file.write_text(CONTEXT, encoding="utf-8")
    assert "▸answer◂" in command("ask", *QUESTION, "--context-file", file).out


def test_a_byte_order_mark_is_not_text(command: Command) -> None:
    content = b"\xef\xbb\xbf" + CONTEXT.encode()
    done = command("ask", *QUESTION, "--context-file", "-", "--json", stdin=content)
    assert json.loads(done.out)["start"] == CONTEXT.index("answer")


def test_context_from_stdin(command: Command) -> None:
    done = command("ask", *QUESTION, "--context-file", "-", stdin=CONTEXT.encode())
    assert "▸answer◂" in done.out


def test_ask_needs_a_context(command: Command) -> None:
    done = command("ask", *QUESTION)
    assert done.code == 2
    assert "give --context or --context-file" in done.err


def test_stdin_is_one_context(command: Command) -> None:
    done = command("ask", *QUESTION, "--context-file", "-", "--context-file", "-", stdin=b"Ada.")
    assert done.code == 2
    assert "stdin can be read once" in done.err


def test_several_contexts_are_passages(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(CONTEXT, encoding="utf-8")
    texts = ("--context", "It rained.", "--context", "Nothing else.", "--context-file", file)
    done = command("ask", *QUESTION, *texts, "--json")
    answer = Answer.model_validate_json(done.out)
    assert (answer.answer, answer.context_index, answer.context_id) == (
        "answer",
        2,
        str(file),
    )
    assert CONTEXT[answer.start : answer.end] == answer.answer
    (row,) = [line for line in command("ask", *QUESTION, *texts).out.splitlines() if "▸" in line]
    assert "▸answer◂" in row
    # A long path takes several lines.
    assert row.split("│")[2].split()[0] == "2"


def test_no_answer_in_several_contexts_names_no_passage(command: Command) -> None:
    done = command("ask", *QUESTION, "--context", "\u200b", "--context", "\u200c")
    (row,) = [line for line in done.out.splitlines() if "(no answer)" in line]
    assert [cell.strip() for cell in row.split("│")[2:4]] == ["", "0-0"]


def test_context_that_is_not_utf8_is_a_usage_error(command: Command) -> None:
    done = command("ask", *QUESTION, "--context-file", "-", stdin=b"\xff")
    assert done.code == 2
    assert "is not UTF-8" in done.err


@pytest.mark.parametrize("arguments", [("Who \udcff?", "Ada."), ("Who?", "Ada \udcff.")])
def test_arguments_that_are_not_utf8_are_usage_errors(
    command: Command, arguments: tuple[str, str]
) -> None:
    done = command("ask", "--question", arguments[0], "--context", arguments[1])
    assert (done.code, done.out) == (2, "")
    assert "is not UTF-8" in done.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--question", " ", "--context", "Ada."), "rejected, schema: question: is blank"),
        ((*QUESTION, "--context", ""), "rejected, schema: context: "),
        ((*QUESTION, "--context", "a", "--context", " "), "rejected, schema: contexts.1.text: "),
        (("--question", "who " * 300, "--context", "Ada."), "rejected, question_too_long: "),
        ((*QUESTION, "--context", "a", "--top-k", "21"), "rejected, option_out_of_range: "),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_rejected_question_is_one_error_line(
    command: Command, arguments: tuple[str, ...], complaint: str
) -> None:
    done = command("ask", *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"qa-worker: {complaint}")
    assert done.err.count("\n") == 1


def test_no_answer_is_printed(command: Command) -> None:
    done = command("ask", *QUESTION, "--context", "\u200b")
    assert (done.code, "(no answer)" in done.out) == (0, True)


def test_an_unsure_answer_is_shown_and_named(command: Command) -> None:
    done = command("ask", *QUESTION, "--context", CONTEXT, "--min-score", "1")
    assert done.code == 0
    assert "▸" in done.out
    assert done.err == "not answered: the best score is below min_score\n"


def test_line_breaks_in_an_answer_are_printed_as_spaces(command: Command) -> None:
    done = command("ask", "--question", "a", "--context", "b\nanswer\r\nsecond\nc")
    (row,) = [line for line in done.out.splitlines() if "▸" in line]
    assert "b ▸answer◂  second c" in row


def test_a_topic_that_is_not_a_questions_topic_is_refused(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_QUESTIONS_TOPICS", "first:8,second")
    done = command("ask", *QUESTION, "--context", CONTEXT, "--topic", "third")
    assert (done.code, done.out) == (2, "")
    assert "third is not one of first, second" in " ".join(done.err.split())
