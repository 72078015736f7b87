"""Outcomes of any content, for properties."""

from typing import Any

from hypothesis import strategies as st

from schemas import Answer, Embedding, ModelInfo, Outcome, Source, Span

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LONG = st.integers(0, 2**63 - 1)
SCORE = st.floats(0, 1)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
METADATA = st.dictionaries(TEXT, JSON, max_size=3)

_MODELS = st.builds(
    ModelInfo,
    name=TEXT,
    revision=st.none() | TEXT,
    sha256=TEXT,
    precision=TEXT,
    provider=TEXT,
)
_SOURCES = st.none() | st.builds(Source, topic=TEXT, partition=LONG, offset=LONG)
_SPAN: dict[str, st.SearchStrategy[Any]] = {
    "answer": TEXT,
    "score": SCORE,
    "start": LONG,
    "end": LONG,
    "context_index": st.none() | LONG,
    "context_id": st.none() | TEXT,
}
ANSWERS = st.builds(
    Answer,
    id=TEXT,
    **_SPAN,
    answered=st.booleans(),
    answers=st.lists(st.builds(Span, **_SPAN), max_size=5),
    offsets=st.sampled_from(["code_points", "utf16", "bytes"]),
    model=_MODELS,
    windows=LONG,
    source=_SOURCES,
    metadata=METADATA,
)
EMBEDDINGS = st.builds(
    Embedding,
    id=TEXT,
    embedding=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20),
    dims=st.integers(1, 2**63 - 1),
    model=_MODELS,
    windows=LONG,
    source=_SOURCES,
    metadata=METADATA,
)
OUTCOMES: st.SearchStrategy[Outcome] = ANSWERS | EMBEDDINGS
