"""EM and F1, against cases worked out by hand from the official SQuAD scripts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from schemas.question import Question
from schemas.rejection import Reason, Rejected
from worker.inference.options import InferenceOptions
from worker.model_tools.evaluation.squad import (
    EvaluationResult,
    Example,
    describe_decoder,
    load_squad,
    normalize,
    score,
    score_by_answerability,
    token_f1,
)
from worker.model_tools.evaluation.squad_document import DataError


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


def with_passages(*passages: Any, **paragraph: Any) -> dict[str, Any]:
    document = squad()
    (article,) = document["data"]
    del article["paragraphs"][0]["context"]
    article["paragraphs"][0] |= {"contexts": list(passages), **paragraph}
    return document


def test_a_paragraph_may_have_passages(tmp_path: Path) -> None:
    document = with_passages({"text": "It rained."}, {"id": "b", "text": "Ada did.", "score": 0.5})
    (read,) = loaded(tmp_path, document)
    event = read.event()
    assert isinstance(event, Question)
    assert (event.context, read.gold) == (None, ("Ada",))
    assert [(each.id, each.text, each.score) for each in event.passages] == [
        (None, "It rained.", None),
        ("b", "Ada did.", 0.5),
    ]
    assert read.texts == ["It rained.", "Ada did."]


def test_null_is_the_absence_of_a_context_as_in_questions(tmp_path: Path) -> None:
    (several,) = loaded(tmp_path, with_passages({"text": "Ada did."}, context=None))
    assert several.texts == ["Ada did."]
    (one,) = loaded(tmp_path, with_passages(contexts=None, context="Ada did."))
    assert (one.context, one.contexts) == ("Ada did.", ())


CONTEXTS = "data[0].paragraphs[0].contexts"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (with_passages(), f"{CONTEXTS} is empty"),
        (with_passages("Ada."), f"{CONTEXTS}[0]: Input should be "),
        (with_passages({"text": "Ada."}, {"text": " "}), f"{CONTEXTS}[1].text: is blank"),
        (with_passages({"text": "Ada.", "score": 2}), f"{CONTEXTS}[0].score: Input should be "),
        (with_passages(contexts={}), f"{CONTEXTS} is an object, not a list"),
        (
            with_passages({"text": "Ada."}, context="Ada."),
            "data[0].paragraphs[0] has context and contexts; remove one",
        ),
    ],
    ids=lambda value: value[-40:] if isinstance(value, str) else "",
)
def test_passages_that_are_wrong_are_refused(tmp_path: Path, document: Any, problem: str) -> None:
    with pytest.raises(DataError, match=re.escape(problem)):
        loaded(tmp_path, document)


QAS = r"data[0].paragraphs[0].qas[0]"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"", "line 1, column 1: not JSON: Expecting value"),
        (b'{"data":\n [}', "line 2, column 3: not JSON: Expecting value"),
        (b"{}\n{}", "line 2, column 1: not JSON: Extra data; JSON Lines are not supported"),
        (b'"\xff"', "byte 1 is not utf-8: invalid start byte"),
        (b"[" * 100_000, "its JSON is nested too deeply"),
        (b"9" * 5_000, "not JSON: Exceeds the limit"),
        ([], "the document is a list, not an object"),
        ({}, "data is missing"),
        ({"data": 5}, "data is a number, not a list"),
        ({"data": []}, "it has no questions"),
        ({"data": [{}]}, "data[0].paragraphs is missing"),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, "data[0].paragraphs[0].context is missing"),
        (
            {"data": [{"paragraphs": [{"context": None, "qas": []}]}]},
            "data[0].paragraphs[0].context is null, not a text",
        ),
        (
            {"data": [{"paragraphs": [{"context": "c", "qas": {"id": 1}}]}]},
            "data[0].paragraphs[0].qas is an object, not a list",
        ),
        (squad(question=None), f"{QAS}.question is null, not a text"),
        (squad(answers=None), f"{QAS}.answers is null, not a list"),
        (squad(answers={"text": ["Ada"]}), f"{QAS}.answers is an object, not a list"),
        (squad(answers=[{}]), f"{QAS}.answers[0].text is missing"),
        (squad(answers=["Ada"]), f"{QAS}.answers[0] is a text, not an object"),
        (squad(answers=[{"text": None}]), f"{QAS}.answers[0].text is null, not a text"),
        (squad(answers=[{"text": 2019}]), f"{QAS}.answers[0].text is a number, not a text"),
        (squad(is_impossible="false"), f"{QAS}.is_impossible is a text, not a boolean"),
        (squad(is_impossible=True), f"{QAS}.answers has answers, but is_impossible is true"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_other_files_are_refused_with_the_place(
    tmp_path: Path, document: Any, problem: str
) -> None:
    with pytest.raises(DataError) as refused:
        loaded(tmp_path, document)
    assert str(refused.value).startswith(f"{tmp_path}/squad.json: not a SQuAD file: {problem}")


@pytest.mark.parametrize("answers", [None, []])
def test_impossible_questions_need_no_answers(tmp_path: Path, answers: Any) -> None:
    assert loaded(tmp_path, squad(answers=answers, is_impossible=True))[0].gold == ()


def test_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    assert len(loaded(tmp_path, b"\xef\xbb\xbf" + json.dumps(squad()).encode())) == 1


def test_each_question_has_an_id_of_its_own(tmp_path: Path) -> None:
    own = ["1", 7, "1", None, 7, "", float("nan"), True, "data[0].paragraphs[0].qas[9]", None]
    document = squad()
    (entry,) = document["data"][0]["paragraphs"][0].pop("qas")
    document["data"][0]["paragraphs"][0]["qas"] = [{**entry, "id": name} for name in own]
    ids = [example.id for example in loaded(tmp_path, document)]
    assert ids[:3] == ["1", "7", "data[0].paragraphs[0].qas[2]"]
    assert len(set(ids)) == len(own)


def test_questions_that_share_an_id_are_scored_by_their_own_answers(tmp_path: Path) -> None:
    document = squad()
    (entry,) = document["data"][0]["paragraphs"][0].pop("qas")
    other = {**entry, "answers": [{"text": "Bob"}]}
    document["data"][0]["paragraphs"][0]["qas"] = [entry, other, {**other, "id": None}]
    examples = loaded(tmp_path, document)
    predictions = dict(zip((example.id for example in examples), ["Ada", "Bob", "x"], strict=True))
    assert score(examples, predictions).exact_match == pytest.approx(200 / 3)


def test_answerable_and_unanswerable_questions_are_scored_apart() -> None:
    examples = [example("1", "Ada"), example("2", "Bob"), example("3")]
    predictions = {"1": "Ada", "2": "", "3": "x"}
    assert list(score_by_answerability(examples, predictions)) == [
        ("answerable", EvaluationResult(50.0, 50.0, 2)),
        ("unanswerable", EvaluationResult(0.0, 0.0, 1)),
    ]
    assert list(score_by_answerability(examples[:2], predictions)) == []


def test_decoder_says_whether_the_answer_may_be_empty() -> None:
    plain = describe_decoder(InferenceOptions(), 512)
    assert plain.endswith("aligned to words; every question answered")
    empty = InferenceOptions(no_answer=True, no_answer_threshold=1.5)
    assert describe_decoder(empty, 512).endswith("; no answer allowed, threshold 1.5")
    strict = InferenceOptions(min_score=0.25)
    assert describe_decoder(strict, 512).endswith("answered; scores of at least 0.25")


def test_example_becomes_a_question() -> None:
    assert example("7", "Ada").event() == Question(id="7", question="Who?", context="Ada.")


@pytest.mark.parametrize(("question", "context"), [(" ", "Ada."), ("Who?", "")])
def test_blank_example_becomes_a_rejection(question: str, context: str) -> None:
    event = Example("7", question, context, ()).event()
    assert isinstance(event, Rejected)
    assert event.reason is Reason.SCHEMA
