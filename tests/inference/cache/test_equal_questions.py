"""What the cache answers for equal questions is what the engine gives for each of them."""

from schemas.answer import Answer
from schemas.question import Passage, Question, ReadingOptions
from worker.inference.cache.answer_cache import AnswerCache
from worker.inference.engine import InferenceEngine


def test_equal_passages_in_another_order_of_ids_are_not_the_same_question(
    tiny_reader: InferenceEngine,
) -> None:
    """Passages with equal texts rank by their ids, so the index of the answer depends on them."""
    cache = AnswerCache(tiny_reader, max_bytes=2**20)
    tiny_reader.start()
    for ids in (["p1", "p2"], ["p2", "p1"]):
        passages = [Passage(text="answer b", id=each) for each in ids]
        event = Question(id="1", question="a", contexts=passages)
        cached = cache.submit(event, cache.key(event)).result(30)
        plain = tiny_reader.submit(event).result(30)
        assert isinstance(plain.outcome, Answer)
        assert plain.outcome.context_id == "p1"
        assert cached.outcome == plain.outcome


def test_the_models_own_option_and_the_same_value_asked_for_are_equal(
    tiny_reader: InferenceEngine,
) -> None:
    """`no_answer` is auto, which is false for this model."""
    assert tiny_reader.options.no_answer is False
    cache = AnswerCache(tiny_reader, max_bytes=2**20)
    events = [
        Question(question="a", context="answer b", options=ReadingOptions(no_answer=asked))
        for asked in (None, False, True)
    ]
    auto, no, yes = (cache.key(event) for event in events)
    assert auto == no != yes
