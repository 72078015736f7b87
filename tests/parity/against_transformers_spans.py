"""Our windows and spans in the pipeline's settings. Runs no model: logits are passed in."""

from collections.abc import Sequence

from schemas.answer import Span
from schemas.rejection import Rejected
from tests.parity.reference_results import Found, Setting
from worker.inference.question_answering.spans import (
    ScoreNormalization,
    SpanOptions,
    WindowLogits,
    rank_spans,
)
from worker.inference.question_answering.windows import EncodedContext, Windower
from worker.inference.window import Window
from worker.model_tools.evaluation.squad import Example

ANY_NUMBER = 1_000_000
"""Of windows: the pipeline knows no limit."""


def our_windows(
    windower: Windower, example: Example, *, max_tokens: int, stride: int
) -> tuple[EncodedContext, list[Window]] | None:
    """The context and its windows; `None` where the question is rejected."""
    if isinstance(example.event(), Rejected):
        return None
    try:
        question = windower.tokenize_question(example.question, max_tokens=max_tokens // 2)
    except Rejected:
        return None
    context = windower.tokenize_context(example.context)
    return context, windower.split(question, context, stride=stride, max_windows=ANY_NUMBER)


def our_spans(
    text: str, context: EncodedContext, read: Sequence[WindowLogits], setting: Setting
) -> tuple[Found, ...]:
    """`rank_spans` with the pipeline's decisions where they are options of ours."""
    options = SpanOptions(
        top_k=setting.top_k,
        max_answer_tokens=setting.max_answer_len,
        align_to_words=setting.align_to_words,
        no_answer=setting.handle_impossible_answer,
        score_normalization=ScoreNormalization.PER_WINDOW,
    )
    return tuple(map(_found, rank_spans(text, context, read, options)))


def _found(span: Span) -> Found:
    return Found(span.answer, span.score, span.start, span.end)
