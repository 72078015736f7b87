"""What travels on the topics: questions and texts in, answers and embeddings and dead letters out.

Imports nothing of the worker, so a producer or a consumer can use it alone.
"""

from schemas.answer import Answer, ModelInfo, Source, Span
from schemas.embedding import Embedding
from schemas.event import Event, Outcome
from schemas.question import Question, ReadingOptions
from schemas.rejection import Reason, Rejected
from schemas.text import Text

__all__ = [
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
