"""What counts as an answer, and for how much: cases small enough to work out by hand."""

from math import e

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.answer import Span
from tests.inference.question_answering.reference_spans import QUESTION, Read
from worker.inference.question_answering.spans import (
    LogitsError,
    ScoreNormalization,
    SpanOptions,
    rank_spans,
)
from worker.inference.question_answering.windows import EncodedContext
from worker.inference.window import Window

TEXT = "abcdefgh"
LOW = -50.0


def letters(words: str = TEXT) -> EncodedContext:
    """Each letter is a token; a run of equal letters in `words` is a word."""
    places = np.arange(len(words), dtype=np.int64)
    firsts = np.array([words.index(letter) for letter in words], np.int64)
    lasts = np.array([words.rindex(letter) for letter in words], np.int64)
    return EncodedContext(places, places, places + 1, firsts, lasts)


def window(
    start: dict[int, float],
    end: dict[int, float],
    *,
    cls: tuple[float, float] = (LOW, LOW),
    first: int = 0,
    count: int = len(TEXT),
    question: float = LOW,
) -> Read:
    """A window whose tokens have `LOW` logits but for those named, by their place in the text."""
    length = QUESTION + 3 + count
    zeros = np.zeros(length, np.int64)

    def logits(named: dict[int, float], of_cls: float) -> NDArray[np.float32]:
        values = np.full(length, LOW, np.float32)
        values[: QUESTION + 2] = values[-1] = question
        values[0] = of_cls
        for place, value in named.items():
            values[QUESTION + 2 + place - first] = value
        return values

    shape = Window(ids=zeros, types=zeros, offset=QUESTION + 2, first=first, count=count)
    return shape, logits(start, cls[0]), logits(end, cls[1])


def options(
    top_k: int = 1,
    *,
    longest: int = 15,
    align: bool = False,
    no_answer: bool = False,
    threshold: float = 0.0,
    scores: ScoreNormalization = ScoreNormalization.JOINT,
) -> SpanOptions:
    return SpanOptions(
        top_k=top_k,
        max_answer_tokens=longest,
        align_to_words=align,
        no_answer=no_answer,
        no_answer_threshold=threshold,
        score_normalization=scores,
    )


def best(*read: Read, asked: SpanOptions | None = None) -> Span:
    return rank_spans(TEXT, letters(), read, asked or options())[0]


def test_a_sure_start_and_end_score_one() -> None:
    expected = Span(answer="cde", score=1.0, start=2, end=5, context_index=0)
    assert best(window({2: 0.0}, {4: 0.0})) == expected


def test_the_score_is_the_product_of_both_shares() -> None:
    span = best(window({2: 1.0, 6: 0.0}, {4: 2.0, 7: 0.0}))
    assert span.score == pytest.approx(e / (e + 1) * e**2 / (e**2 + 1))


def test_mass_on_cls_lowers_the_score() -> None:
    span = best(window({2: 0.0}, {4: 0.0}, cls=(0.0, 0.0)))
    assert span.answer == "cde"
    assert span.score == pytest.approx(0.25)


def test_the_question_is_never_an_answer_and_takes_no_mass() -> None:
    span = best(window({2: 0.0}, {4: 0.0}, question=30.0))
    assert span.answer == "cde"
    assert span.score == pytest.approx(1.0)


def test_an_end_before_its_start_is_no_span() -> None:
    span = best(window({4: 5.0, 1: 0.0}, {2: 5.0, 6: 0.0}))
    assert (span.start, span.end) in {(4, 7), (1, 3)}
    assert span.score < 0.01


def test_an_answer_has_at_most_as_many_tokens_as_allowed() -> None:
    read = window({1: 0.0}, {4: 5.0, 3: 0.0})
    assert best(read, asked=options(longest=4)).answer == "bcde"
    assert best(read, asked=options(longest=3)).answer == "bcd"


def test_the_same_span_in_two_windows_counts_once_with_its_best_score() -> None:
    weak = window({3: 1.0, 0: 0.0}, {3: 0.0}, count=5)
    strong = window({3: 3.0, 6: 0.0}, {3: 0.0}, first=3, count=5)
    asked = options(10, scores=ScoreNormalization.PER_WINDOW)
    spans = rank_spans(TEXT, letters(), [weak, strong], asked)
    scores = [span.score for span in spans if span.answer == "d"]
    assert scores == [pytest.approx(e**3 / (e**3 + 1))]


def test_joint_scores_count_a_token_of_two_windows_once_with_its_larger_logit() -> None:
    weak = window({3: 1.0, 0: 0.0}, {3: 0.0}, count=5)
    strong = window({3: 3.0, 6: 0.0}, {3: 0.0}, first=3, count=5)
    spans = rank_spans(TEXT, letters(), [weak, strong], options(10))
    scores = [span.score for span in spans if span.answer == "d"]
    assert scores == [pytest.approx(e**3 / (e**3 + 2))]


def test_with_a_softmax_for_each_window_a_window_without_rivals_wins() -> None:
    read = [
        window({1: 5.0}, {1: 5.0}, cls=(5.0, 5.0), count=4),
        window({6: 0.0}, {6: 0.0}, first=4, count=4),
    ]
    spans = rank_spans(TEXT, letters(), read, options(2, scores=ScoreNormalization.PER_WINDOW))
    assert [(span.answer, round(span.score, 3)) for span in spans] == [("g", 1.0), ("b", 0.25)]


def test_with_joint_scores_the_larger_logits_win() -> None:
    read = [
        window({1: 5.0}, {1: 5.0}, cls=(5.0, 5.0), count=4),
        window({6: 0.0}, {6: 0.0}, first=4, count=4),
    ]
    spans = rank_spans(TEXT, letters(), read, options(2))
    share = e**5 / (e**5 + 1)
    assert [span.answer for span in spans] == ["b", "g"]
    assert spans[0].score == pytest.approx(share**2)


def test_the_same_text_at_two_places_is_two_spans() -> None:
    text = "xyzxyz__"
    read = window({0: 0.0, 3: 0.0}, {0: 0.0, 3: 0.0})
    spans = rank_spans(text, letters(), [read], options(2, longest=1))
    assert [(span.answer, span.start) for span in spans] == [("x", 0), ("x", 3)]


def test_ties_break_by_position() -> None:
    read = window(dict.fromkeys(range(8), 0.0), dict.fromkeys(range(8), 0.0))
    spans = rank_spans(TEXT, letters(), [read], options(20))
    places = [(span.start, span.end) for span in spans]
    assert len({span.score for span in spans}) == 1
    assert places == sorted(places)
    assert places[0] == (0, 1)


def test_an_answer_grows_to_whole_words() -> None:
    context = letters("aabbbccc")
    read = window({1: 0.0}, {3: 0.0})
    assert rank_spans(TEXT, context, [read], options(align=True))[0].answer == "abcde"
    assert rank_spans(TEXT, context, [read], options(align=False))[0].answer == "bcd"


def test_top_k_counts_words_once() -> None:
    context = letters("aaaabbbb")
    read = window(dict.fromkeys(range(8), 0.0), dict.fromkeys(range(8), 0.0))
    spans = rank_spans(TEXT, context, [read], options(5, align=True))
    assert [span.answer for span in spans] == ["abcd", "abcdefgh", "efgh"]


def test_a_long_word_hides_no_other() -> None:
    # The 28 best spans of tokens are one word.
    context = letters("aaaaaaab")
    sure = dict.fromkeys(range(7), 10.0)
    spans = rank_spans(TEXT, context, [window(sure, sure)], options(3, align=True))
    assert [span.answer for span in spans] == ["abcdefg", "abcdefgh", "h"]


def test_no_answer_competes_with_its_least_share_of_any_window() -> None:
    sure = window({2: 0.0}, {2: 0.0}, cls=(0.0, 0.0), count=4)
    unsure = window({5: 0.0}, {5: 0.0}, cls=(5.0, 5.0), first=4, count=4)
    asked = options(10, no_answer=True, scores=ScoreNormalization.PER_WINDOW)
    nothing = [s for s in rank_spans(TEXT, letters(), [sure, unsure], asked) if s.end == 0]
    assert nothing == [Span(answer="", score=nothing[0].score, start=0, end=0)]
    assert nothing[0].score == pytest.approx(0.25)


def test_the_joint_null_is_that_of_the_window_with_the_least_null_logits() -> None:
    one = window({2: 0.0}, {2: 0.0}, cls=(1.0, 2.0), count=4)
    other = window({5: 0.0}, {5: 0.0}, cls=(5.0, 0.0), first=4, count=4)
    (nothing,) = [
        s
        for s in rank_spans(TEXT, letters(), [one, other], options(10, no_answer=True))
        if not s.end
    ]
    assert nothing.score == pytest.approx(e / (e + 2) * e**2 / (e**2 + 2))


@pytest.mark.parametrize(("threshold", "answered"), [(2.9, False), (3.1, True), (-100.0, False)])
def test_none_wins_where_its_logits_are_above_the_best_spans_by_the_threshold(
    threshold: float, answered: bool
) -> None:
    # Null logits 1 + 4, those of the best span 2 + 0: the difference is 3.
    read = window({2: 2.0}, {2: 0.0}, cls=(1.0, 4.0))
    spans = rank_spans(TEXT, letters(), [read], options(2, no_answer=True, threshold=threshold))
    assert [bool(span.end) for span in spans] == [answered, not answered]
    assert {span.answer for span in spans} == {"", "c"}


def test_a_threshold_moves_no_score() -> None:
    read = window({2: 2.0}, {2: 0.0}, cls=(1.0, 4.0))
    scores = [
        {span.answer: span.score for span in rank_spans(TEXT, letters(), [read], asked)}
        for asked in (options(9, no_answer=True), options(9, no_answer=True, threshold=50.0))
    ]
    assert scores[0] == scores[1]


def test_no_answer_can_win() -> None:
    span = best(window({2: 0.0}, {2: 0.0}, cls=(5.0, 5.0)), asked=options(no_answer=True))
    assert (span.answer, span.start, span.end) == ("", 0, 0)


def test_no_answer_stays_out_where_it_is_not_allowed() -> None:
    assert best(window({2: 0.0}, {2: 0.0}, cls=(5.0, 5.0))).answer == "c"


@pytest.mark.parametrize("no_answer", [True, False])
def test_a_context_that_was_not_read_holds_nothing(no_answer: bool) -> None:
    nothing = np.zeros(0, np.int64)
    context = EncodedContext(nothing, nothing, nothing, nothing, nothing)
    spans = rank_spans("  ", context, [], options(5, no_answer=no_answer))
    assert spans == [Span(answer="", score=0.0, start=0, end=0)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("place", [-QUESTION - 2, 0, 7])
def test_logits_that_are_not_finite_are_no_answer(value: float, place: int) -> None:
    with pytest.raises(LogitsError, match="not finite"):
        best(window({place: value}, {}))
    with pytest.raises(LogitsError, match="not finite"):
        best(window({}, {place: value}))


def test_logits_of_the_question_are_not_looked_at() -> None:
    assert best(window({2: 0.0}, {2: 0.0}, question=float("nan"))).answer == "c"


def test_logits_far_apart_neither_overflow_nor_lose_the_answer() -> None:
    span = best(window({2: 3e38}, {2: 3e38}, cls=(-3e38, -3e38)))
    assert (span.answer, span.score) == ("c", 1.0)
