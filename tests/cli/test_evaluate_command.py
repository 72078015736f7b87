"""`qa-worker evaluate`: EM and F1 of a model on a SQuAD file."""

import json
from pathlib import Path
from typing import Any

from tests.cli.conftest import Command


def squad(directory: Path, *entries: tuple[str, str, list[str]]) -> Path:
    """A file of question, context and gold answers."""
    paragraphs: list[dict[str, Any]] = [
        {
            "context": context,
            "qas": [
                {
                    "id": str(number),
                    "question": question,
                    "answers": [{"text": text, "answer_start": 0} for text in gold],
                }
            ],
        }
        for number, (question, context, gold) in enumerate(entries)
    ]
    file = directory / "squad [v1].json"
    file.write_text(json.dumps({"data": [{"title": "ours", "paragraphs": paragraphs}]}))
    return file


def cells(out: str) -> dict[str, str]:
    rows = [line.split("│") for line in out.splitlines() if line.startswith("│")]
    return {row[1].strip(): row[2].strip() for row in rows}


def test_scores_follow_from_the_answers(command: Command, tmp_path: Path, tiny_model: Path) -> None:
    file = squad(
        tmp_path,
        ("a", "b answer c", ["The Answer."]),
        ("a", "b answer c", ["answer c"]),
        ("a", "b second c", ["other"]),
        ("a", "b " * 100 + "answer", ["answer"]),
    )
    done = command("evaluate", file)
    assert done.code == 0
    shown = cells(done.out)
    assert (shown["EM"], shown["F1"]) == ("50.0000", f"{100 * (1 + 2 / 3 + 0 + 1) / 4:.4f}")
    assert (shown["questions"], shown["rejected"]) == ("4", "0")
    assert int(shown["windows"]) > 4
    assert shown["model"] == "tiny (float32)"
    assert "one softmax over all windows" in shown["decoder"]


def test_rejected_questions_score_zero(command: Command, tmp_path: Path, tiny_model: Path) -> None:
    file = squad(
        tmp_path,
        ("a", "b answer c", ["answer"]),
        (" ", "b answer c", ["answer"]),
        ("a " * 17, "b answer c", ["answer"]),
        ("a", "", []),
    )
    shown = cells(command("evaluate", file).out)
    assert (shown["EM"], shown["questions"], shown["rejected"]) == ("25.0000", "4", "3")


def test_paragraphs_may_have_passages(command: Command, tmp_path: Path, tiny_model: Path) -> None:
    file = squad(tmp_path, ("a", "b answer c", ["answer"]), ("a", "b c", ["answer"]))
    document = json.loads(file.read_text())
    paragraph = document["data"][0]["paragraphs"][1]
    del paragraph["context"]
    paragraph["contexts"] = [{"text": "b second c"}, {"text": "b answer c", "score": 0.5}]
    file.write_text(json.dumps(document))
    shown = cells(command("evaluate", file).out)
    assert (shown["EM"], shown["questions"], shown["windows"]) == ("100.0000", "2", "3")


def test_table_names_the_file(command: Command, tmp_path: Path, tiny_model: Path) -> None:
    done = command("evaluate", squad(tmp_path, ("a", "b answer c", ["answer"])))
    assert "squad [v1].json" in " ".join(done.out.split())


def test_default_model_answers_our_texts(command: Command, tmp_path: Path) -> None:
    context = "In 1843 Ada Lovelace wrote the first algorithm, for Babbage's machine."
    file = squad(
        tmp_path,
        ("Who wrote the first algorithm?", context, ["Ada Lovelace"]),
        ("When did Ada Lovelace write it?", context, ["1843", "In 1843"]),
    )
    shown = cells(command("evaluate", file).out)
    assert (shown["EM"], shown["model"]) == ("100.0000", "default (int8)")


def test_unanswerable_questions_are_scored_apart(
    command: Command, tmp_path: Path, tiny_model: Path
) -> None:
    file = squad(tmp_path, ("a", "b answer c", ["answer"]), ("a", "b answer c", []))
    done = command("evaluate", file)
    shown = cells(done.out)
    assert shown["EM, F1 of 1 answerable"] == "100.0000, 100.0000"
    assert shown["EM, F1 of 1 unanswerable"] == "0.0000, 0.0000"
    assert "every question answered" in done.out
    assert done.err.startswith("note: 1 of 2 questions are unanswerable and count as wrong: ")


def test_questions_that_share_an_id_are_scored_each(
    command: Command, tmp_path: Path, tiny_model: Path
) -> None:
    file = squad(tmp_path, ("a", "b answer c", ["answer"]), ("a", "b second c", ["second"]))
    file.write_text(file.read_text().replace('"id": "1"', '"id": "0"'))
    shown = cells(command("evaluate", file).out)
    assert (shown["EM"], shown["rejected"]) == ("100.0000", "0")


def test_a_broken_file_is_one_line_with_the_place(
    command: Command, tmp_path: Path, tiny_model: Path
) -> None:
    file = squad(tmp_path, ("a", "b answer c", ["answer"]))
    file.write_text(file.read_text().replace('"text": "answer"', '"text": null'))
    for arguments in (("evaluate", file), ("model", "verify", "--data", file)):
        done = command(*arguments)
        assert (done.code, done.out) == (1, "")
        assert done.err == (
            f"qa-worker: {file}: not a SQuAD file: data[0].paragraphs[0].qas[0].answers[0].text is "
            f"null, not a text\n"
        )
