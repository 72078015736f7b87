"""Notes beside EM and F1: which questions can be right, and where F1 means little."""

import pytest

from worker.inference.options import InferenceOptions
from worker.model_tools.evaluation.notes import notes
from worker.model_tools.evaluation.squad import Example


def noted(*gold: tuple[str, ...], no_answer: bool = False, trained: bool = False) -> list[str]:
    examples = [Example(str(n), "Who?", "Ada.", texts) for n, texts in enumerate(gold)]
    options = InferenceOptions(no_answer=no_answer)
    return list(notes(examples, options, knows_no_answer=trained))


def test_unanswerable_questions_cannot_be_right_without_no_answer() -> None:
    (note,) = noted(("Ada",), (), (), trained=True)
    assert note.startswith("2 of 3 questions are unanswerable and count as wrong: ")
    assert note.endswith("only the other 1 can be right")


def test_no_answer_of_an_untrained_model_means_little() -> None:
    (note,) = noted(("Ada",), (), no_answer=True)
    assert "does not say that it was trained on such questions" in note


def test_answerable_questions_lose_by_no_answer() -> None:
    (note,) = noted(("Ada",), no_answer=True, trained=True)
    assert note.startswith("all 1 questions are answerable")


@pytest.mark.parametrize("text", ["李晓明", "テレビ", "กรุงเทพ", "ລາວ", "ភ្នំពេញ", "မြန်မာ", "𠮷野家"])
def test_scripts_without_spaces_are_named(text: str) -> None:
    (note,) = noted(("Ada",), ("Ada", text))
    assert note.startswith("gold answers of 1 of 2 questions are in a script without spaces")


def test_nothing_is_noted_of_other_files() -> None:
    assert noted(("Ada", "김하늘이", "रवि शर्मा", "سامي", "1984")) == []
    assert noted(("Ada",), (), no_answer=True, trained=True) == []
