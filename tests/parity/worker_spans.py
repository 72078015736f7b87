"""The worker's windows and spans for settings of the pipeline. Runs no model."""

from collections.abc import Sequence

from schemas.answer import Span
from schemas.rejection import Rejected
from tests.parity.pipeline_results import AnswerSpan, Setting
from worker.inference.question_answering.candidates import WindowLogits
from worker.inference.question_answering.spans import (
    ScoreNormalization,
    SpanOptions,
    rank_spans,
)
from worker.inference.question_answering.windows import EncodedContext, Windower
from worker.inference.window import Window
from worker.model_tools.evaluation.squad import Example

NO_WINDOW_LIMIT = 1_000_000
"""The pipeline does not limit the number of windows."""


def worker_windows(
    windower: Windower, example: Example, *, max_tokens: int, stride: int
) -> tuple[EncodedContext, list[Window]] | None:
    """Returns the context and its windows, or `None` if the worker rejects the question."""
    if isinstance(example.event(), Rejected):
        return None
    try:
        question = windower.tokenize_question(example.question, max_tokens=max_tokens // 2)
    except Rejected:
        return None
    context = windower.tokenize_context(example.context)
    return context, windower.split(question, context, stride=stride, max_windows=NO_WINDOW_LIMIT)


def worker_spans(
    text: str, context: EncodedContext, windows: Sequence[WindowLogits], setting: Setting
) -> tuple[AnswerSpan, ...]:
    """Runs `rank_spans` with the worker's options set as in the pipeline's setting."""
    options = SpanOptions(
        top_k=setting.top_k,
        max_answer_tokens=setting.max_answer_len,
        align_to_words=setting.align_to_words,
        no_answer=setting.handle_impossible_answer,
        score_normalization=ScoreNormalization.PER_WINDOW,
    )
    return tuple(map(_answer_span, rank_spans(text, context, windows, options)))


def _answer_span(span: Span) -> AnswerSpan:
    return AnswerSpan(span.answer, span.score, span.start, span.end)
