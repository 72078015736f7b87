"""The records on the topics: questions and texts in, answers, embeddings and dead letters out.

Imports nothing of `worker`, so that producers and consumers can use this package alone.
"""

from schemas.answer import Answer, ModelInfo, OffsetUnit, Source, Span
from schemas.embedding import Embedding
from schemas.event import Event, Outcome
from schemas.question import Passage, Question, ReadingOptions
from schemas.rejection import Reason, Rejected
from schemas.reply import ErrorDetail, ErrorReply
from schemas.text import Text

VERSION = "1.2"
"""Version of these contracts. A compatible addition raises the minor version; producers and
consumers of an older minor version keep working (tests/schemas/versions checks it). An
incompatible change would raise the major version."""

__all__ = [
    "VERSION",
    "Answer",
    "Embedding",
    "ErrorDetail",
    "ErrorReply",
    "Event",
    "ModelInfo",
    "OffsetUnit",
    "Outcome",
    "Passage",
    "Question",
    "ReadingOptions",
    "Reason",
    "Rejected",
    "Source",
    "Span",
    "Text",
]
