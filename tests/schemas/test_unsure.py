"""The headers of an unsure question: where it was asked, and what the model would have said."""

from typing import Any

import pytest

from schemas.generate.samples import ANSWER
from schemas.rejection import Header
from schemas.unsure import ANSWER_LIMIT, unsure_headers
from schemas.unsure import origin as origin_of
from tests.schemas.valid import faults, published

OWN: list[Header] = [("traceparent", b"00-1"), ("mine", None)]
PLACE: Any = {"topic": "qa.questions", "partition": 3, "offset": 41}


def test_the_questions_headers_come_first_and_the_added_ones_are_as_published() -> None:
    headers = unsure_headers(ANSWER, **PLACE, headers=OWN)
    assert headers[:2] == OWN
    added = {name: (text or b"").decode() for name, text in headers[2:]}
    assert faults(published("unsure-headers"), added) == []
    assert added["qa.unsure.answer"] == ANSWER.answers[0].answer
    assert added["qa.unsure.score"] == "0.937500"
    assert origin_of(headers) == ("qa.questions", 3, 41)


def test_a_question_that_is_sent_on_again_keeps_its_first_place() -> None:
    once = unsure_headers(ANSWER, **PLACE, headers=OWN)
    larger = ANSWER.model_copy(update={"model": ANSWER.model.model_copy(update={"name": "large"})})
    twice = unsure_headers(larger, topic="qa.unsure", partition=0, offset=7, headers=once)
    assert origin_of(twice) == ("qa.questions", 3, 41)
    assert dict(twice)["qa.unsure.model"] == b"large"
    assert [name for name, _ in twice].count("qa.unsure.topic") == 1


def test_a_long_answer_is_shortened() -> None:
    span = ANSWER.answers[0].model_copy(update={"answer": "ä" * 5_000})
    long = ANSWER.model_copy(update={"answers": [span]})
    text = dict(unsure_headers(long, **PLACE, headers=()))["qa.unsure.answer"] or b""
    assert text.decode() == "ä" * ANSWER_LIMIT


@pytest.mark.parametrize("name", ["qa.unsure.topic", "qa.unsure.partition", "qa.unsure.offset"])
@pytest.mark.parametrize("text", [None, b"", b"-1", b"x"])
def test_headers_without_a_whole_place_name_none(name: str, text: bytes | None) -> None:
    headers = dict(unsure_headers(ANSWER, **PLACE, headers=())) | {name: text}
    named = name == "qa.unsure.topic" and text in (b"-1", b"x")
    assert (origin_of(list(headers.items())) is not None) is named
