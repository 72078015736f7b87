"""What travels on the topics: questions and texts in, answers and embeddings and dead letters out.

Imports nothing of the worker, so a producer or a consumer can use it alone.
"""

from schemas.answer import Answer, ModelInfo, Source, Span
from schemas.embedding import Embedding
from schemas.event import Event, Outcome
from schemas.question import Question, ReadingOptions
from schemas.rejection import Reason, Rejected
from schemas.text import Text

VERSION = "1.1"
"""Of these contracts. The second number rises with what is added: producers and consumers of older
ones go on as they are (tests/schemas/versions). The first would rise with what is not so."""

__all__ = [
    "VERSION",
    "Answer",
    "Embedding",
    "Event",
    "ModelInfo",
    "Outcome",
    "Question",
    "ReadingOptions",
    "Reason",
    "Rejected",
    "Source",
    "Span",
    "Text",
]
