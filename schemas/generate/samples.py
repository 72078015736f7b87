"""Events and outcomes, as examples in the published schemas. The tests validate and decode them."""

from typing import Any

from schemas.answer import Answer, ModelInfo, Source, Span
from schemas.embedding import Embedding
from schemas.rejection import Reason
from schemas.reply import ErrorDetail, ErrorReply

Document = dict[str, Any]

CONTEXT = "The report on the bridge was written by Anna Lindqvist in 2019."

QUESTIONS: list[Document] = [
    {"question": "Who wrote the report?", "context": CONTEXT},
    {
        "id": "q-17",
        "question": "Who wrote the report?",
        "context": CONTEXT,
        "options": {"top_k": 2, "max_answer_tokens": 20, "no_answer": True},
        "metadata": {"tenant": "bridges", "page": 3},
    },
    {
        "id": "q-18",
        "question": "Who wrote the report?",
        "contexts": [
            {"id": "page-7", "text": "The bridge was built in 1931.", "score": 0.75},
            {"id": "page-3", "text": CONTEXT, "score": 0.5, "metadata": {"rank": 2}},
        ],
        "options": {"top_k": 5, "per_context": 2, "overlap": 0.5, "retriever_weight": 0.5},
    },
]
TEXTS: list[Document] = [
    {"text": "The bridge was built in 1931."},
    {"id": "t-1", "text": "The bridge was built in 1931.", "metadata": {"page": 3}},
]

_MODEL = ModelInfo(
    name="default",
    sha256="81578b705cba8e1f07b900714b3ce6338c1fa5da3a5eb5fdd3f6a3cd07c5f274",
    precision="int8",
)
_SOURCE = Source(topic="qa.questions", partition=0, offset=41)

ANSWER = Answer(
    id="q-17",
    answer="Anna Lindqvist",
    score=0.9375,
    start=40,
    end=54,
    context_index=0,
    answered=True,
    answers=[
        Span(answer="Anna Lindqvist", score=0.9375, start=40, end=54, context_index=0),
        Span(answer="Anna Lindqvist in 2019", score=0.03125, start=40, end=62, context_index=0),
    ],
    model=_MODEL,
    windows=1,
    source=_SOURCE,
    metadata={"tenant": "bridges", "page": 3},
)
EMBEDDING = Embedding(
    id="t-1",
    embedding=[0.125, -0.03125, 0.5],
    dims=3,
    model=_MODEL.model_copy(update={"name": "tiny", "precision": "float32"}),
    windows=1,
    source=_SOURCE,
    metadata={"page": 3},
)
ERROR_REPLY = ErrorReply(
    id="q-17", error=ErrorDetail(reason=Reason.SCHEMA.value, detail="question: is blank")
)
