"""Events have the same key exactly if the same outcome is right for both."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answer import ModelInfo
from schemas.question import Passage, Question, ReadingOptions
from schemas.text import Text
from worker.inference.cache.key import KEY_BYTES, CacheKeys
from worker.inference.options import InferenceOptions

MODEL = ModelInfo(name="m", sha256="0" * 64, precision="int8")
KEYS = CacheKeys(MODEL, InferenceOptions(threads=1, top_k=3, offsets="utf16", no_answer=False))

WORDS = st.text("ab, 0", min_size=1, max_size=3).filter(str.strip)
PASSAGES = st.lists(
    st.builds(
        Passage,
        text=WORDS,
        id=st.sampled_from([None, "p1", "p2"]),
        score=st.sampled_from([None, 0.0, 0.5]),
    ),
    min_size=1,
    max_size=3,
)
QUESTIONS = st.builds(
    Question,
    question=WORDS,
    contexts=PASSAGES,
    options=st.builds(
        ReadingOptions,
        top_k=st.sampled_from([None, 1, 3]),
        no_answer=st.sampled_from([None, False, True]),
        retriever_weight=st.sampled_from([None, 0.0, 0.5]),
    ),
)


def question(**fields: Any) -> Question:
    return Question(**{"question": "q", "context": "c", **fields})


def depends_on(event: Question) -> object:
    """What the outcome depends on, in another form than the key's."""
    options = event.options
    texts = [passage.text for passage in event.passages]
    weight = options.retriever_weight or 0.0
    return (
        event.question,
        texts,
        # Equal passages rank by their ids.
        [passage.id for passage in event.passages] if len(set(texts)) < len(texts) else [],
        [passage.score for passage in event.passages] if weight else [],
        3 if options.top_k is None else options.top_k,
        bool(options.no_answer),
        weight,
    )


@given(QUESTIONS, QUESTIONS)
def test_keys_are_equal_exactly_for_equal_questions(one: Question, other: Question) -> None:
    assert (KEYS.key(one) == KEYS.key(other)) == (depends_on(one) == depends_on(other))
    assert len(KEYS.key(one)) == KEY_BYTES


@pytest.mark.parametrize(
    "same",
    [
        {"id": "other"},
        {"metadata": {"tenant": 7}},
        {"options": ReadingOptions(top_k=3, offsets="utf16", doc_stride=128, overlap=1)},
        {"context": None, "contexts": [Passage(text="c", id="p1", metadata={"a": 1})]},
    ],
    ids=["id", "metadata", "defaults", "passage"],
)
def test_what_belongs_to_the_record_is_not_in_the_key(same: dict[str, Any]) -> None:
    assert KEYS.key(question(**same)) == KEYS.key(question())


@pytest.mark.parametrize("name", ReadingOptions.model_fields)
def test_every_option_is_in_the_key(name: str) -> None:
    values = {"no_answer": True, "align_to_words": False, "offsets": "bytes", "overlap": 0}
    options = ReadingOptions(**{name: values.get(name, 1)})  # type: ignore[arg-type]
    assert KEYS.key(question(options=options)) != KEYS.key(question())


def test_texts_do_not_run_into_each_other() -> None:
    weight = ReadingOptions(retriever_weight=1)
    apart = [
        question(question="ab", context="c"),
        question(question="a", context="bc"),
        question(question="a", context=None, contexts=[Passage(text="b"), Passage(text="c")]),
        question(question="a", context=None, contexts=[Passage(text="bc")], options=weight),
        question(
            question="a",
            context=None,
            contexts=[Passage(text="bc", score=1.0)],
            options=weight,
        ),
    ]
    assert len({KEYS.key(each) for each in apart}) == len(apart)


def test_the_model_is_in_the_key() -> None:
    options = InferenceOptions(threads=1)
    models = [
        MODEL,
        MODEL.model_copy(update={"sha256": "1" * 64}),
        MODEL.model_copy(update={"provider": "cuda"}),
    ]
    assert len({CacheKeys(model, options).key(Text(text="a")) for model in models}) == 3
