"""Our windows and spans in the pipeline's settings. Runs no model: logits are passed in."""

from collections.abc import Sequence

from schemas.answer import Span
from schemas.rejection import Rejected
from tests.parity.reference_results import Found, Setting
from worker.reading.evaluate import Example
from worker.reading.spans import Read, SpanOptions, WindowScores, rank
from worker.reading.windows import EncodedContext, Window, Windower

ANY_NUMBER = 1_000_000
"""Of windows: the pipeline knows no limit."""


def our_windows(
    windower: Windower, example: Example, *, max_tokens: int, stride: int
) -> tuple[EncodedContext, list[Window]] | None:
    """The context and its windows; `None` where the question is rejected."""
    if isinstance(example.event(), Rejected):
        return None
    try:
        question = windower.encode_question(example.question, max_tokens=max_tokens // 2)
    except Rejected:
        return None
    context = windower.encode_context(example.context)
    return context, windower.cut(question, context, stride=stride, max_windows=ANY_NUMBER)


def our_spans(
    text: str, context: EncodedContext, read: Sequence[Read], setting: Setting
) -> tuple[Found, ...]:
    """`rank` with the pipeline's decisions where they are options of ours."""
    options = SpanOptions(
        top_k=setting.top_k,
        max_answer_tokens=setting.max_answer_len,
        align_to_words=setting.align_to_words,
        no_answer=setting.handle_impossible_answer,
        window_scores=WindowScores.PER_WINDOW,
    )
    return tuple(map(_found, rank(text, context, read, options)))


def _found(span: Span) -> Found:
    return Found(span.answer, span.score, span.start, span.end)
