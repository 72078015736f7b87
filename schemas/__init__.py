"""What travels on the topics: questions in, answers and dead letters out.

Imports nothing of the worker, so a producer or a consumer can use it alone.
"""

from schemas.answer import Answer, ModelInfo, Source, Span
from schemas.question import Question, ReadingOptions
from schemas.rejection import Reason, Rejected

__all__ = [
    "Answer",
    "ModelInfo",
    "Question",
    "ReadingOptions",
    "Reason",
    "Rejected",
    "Source",
    "Span",
]
