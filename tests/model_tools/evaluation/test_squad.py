"""EM and F1, against cases worked out by hand from the official SQuAD scripts."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.question import Question
from schemas.rejection import Reason, Rejected
from worker.model_tools.evaluation.squad import (
    DataError,
    EvaluationResult,
    Example,
    load_squad,
    normalize,
    score,
    token_f1,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Normans", "normans"),
        ("a cat, an owl and the dog!", "cat owl and dog"),
        ("  many \t spaces\n", "many spaces"),
        ("U.S.A.", "usa"),
        ("don't", "dont"),
        ("$1,000.50", "100050"),
        ("anthem theatre", "anthem theatre"),
        ("well-known", "wellknown"),
        # Punctuation goes before articles do, so "a-b" is no article.
        ("a-b", "ab"),
        ("the-a", "thea"),
        # Only ASCII punctuation is punctuation.
        ("“Ada” — ¿no?", "“ada” — ¿no"),
        ("x–the–y", "x– –y"),
        ("ÉCOLE", "école"),
        ("The", ""),
        ("", ""),
    ],
)
def test_normalization_follows_the_official_order(text: str, expected: str) -> None:
    assert normalize(text) == expected


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        ("Ada Lovelace", "ada lovelace", 1.0),
        ("Ada", "Ada Lovelace", 2 / 3),
        ("Countess Ada Lovelace", "Ada", 0.5),
        ("the cat sat", "a cat", 2 / 3),
        ("to be or not to be", "to be to", 2 / 3),
        ("Bob", "Ada", 0.0),
        ("", "Ada", 0.0),
        ("Ada", "", 0.0),
        ("", "", 1.0),
        ("the", "", 1.0),
    ],
)
def test_f1_counts_shared_tokens(prediction: str, gold: str, expected: float) -> None:
    assert token_f1(prediction, gold) == pytest.approx(expected)


def example(name: str, *gold: str) -> Example:
    return Example(id=name, question="Who?", context="Ada.", gold=gold)


def test_best_gold_answer_counts() -> None:
    scores = score([example("1", "Bob", "Ada Lovelace", "Ada")], {"1": "Ada"})
    assert scores == EvaluationResult(exact_match=100.0, f1=100.0, total=1)


def test_em_and_f1_use_the_best_gold_answer_separately() -> None:
    scores = score([example("1", "Ada King"), example("2", "x")], {"1": "Ada", "2": "The X."})
    assert scores.exact_match == 50.0
    assert scores.f1 == pytest.approx(100 * (2 / 3 + 1) / 2)


def test_missing_prediction_scores_zero() -> None:
    assert score([example("1", "Ada"), example("2", "Ada")], {"1": "Ada"}) == EvaluationResult(
        50.0, 50.0, 2
    )


@pytest.mark.parametrize(("prediction", "points"), [("", 100.0), ("the", 100.0), ("Ada", 0.0)])
def test_empty_prediction_matches_an_unanswerable_question(prediction: str, points: float) -> None:
    assert score([example("1")], {"1": prediction}) == EvaluationResult(points, points, 1)


def test_empty_prediction_fails_an_answerable_question() -> None:
    assert score([example("1", "Ada")], {"1": ""}) == EvaluationResult(0.0, 0.0, 1)


def test_gold_answers_that_normalize_to_nothing_are_ignored() -> None:
    assert score([example("1", "the", "Ada")], {"1": ""}) == EvaluationResult(0.0, 0.0, 1)


def test_empty_file_scores_zero() -> None:
    assert score([], {}) == EvaluationResult(0.0, 0.0, 0)


def squad(**entry: Any) -> dict[str, Any]:
    question = {"id": "1", "question": "Who?", "answers": [{"text": "Ada", "answer_start": 0}]}
    paragraph = {"context": "Ada did.", "qas": [{**question, **entry}]}
    return {"version": "1.1", "data": [{"title": "t", "paragraphs": [paragraph]}]}


def loaded(directory: Path, document: Any) -> list[Example]:
    file = directory / "squad.json"
    file.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return load_squad(file)


def test_squad_file_is_read(tmp_path: Path) -> None:
    assert loaded(tmp_path, squad()) == [Example("1", "Who?", "Ada did.", ("Ada",))]


def test_v2_example_may_be_unanswerable(tmp_path: Path) -> None:
    (example,) = loaded(tmp_path, squad(answers=[], is_impossible=True))
    assert example.gold == ()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"\xff",
        [],
        {},
        {"data": 5},
        {"data": [{}]},
        {"data": [{"paragraphs": [{"context": "c"}]}]},
        {"data": [{"paragraphs": [{"context": "c", "qas": {"id": 1}}]}]},
        squad(answers=None),
        squad(answers=[{}]),
        squad(answers=["Ada"]),
    ],
    ids=lambda document: repr(document)[:60],
)
def test_other_files_are_refused_by_name(tmp_path: Path, document: Any) -> None:
    with pytest.raises(DataError, match=r"squad\.json: not a SQuAD file"):
        loaded(tmp_path, document)


def test_example_becomes_a_question() -> None:
    assert example("7", "Ada").event() == Question(id="7", question="Who?", context="Ada.")


@pytest.mark.parametrize(("question", "context"), [(" ", "Ada."), ("Who?", "")])
def test_blank_example_becomes_a_rejection(question: str, context: str) -> None:
    event = Example("7", question, context, ()).event()
    assert isinstance(event, Rejected)
    assert event.reason is Reason.SCHEMA
