"""The worker's reading defaults and limits, and what they make of a question's own options."""

from dataclasses import dataclass

from schemas.question import ReadingOptions
from schemas.rejection import Reason, Rejected
from worker.inference.execution_providers import Provider
from worker.inference.question_answering.spans import ScoreNormalization, SpanOptions


@dataclass(frozen=True, slots=True)
class InferenceOptions:
    """How questions are read that do not say otherwise, and how far they may go.

    Lengths in tokens. `max_tokens` is a whole window's; `None` is the model's own limit, which
    is also what `max_batch_tokens` is without a value; half of it is the limit for questions.
    """

    threads: int
    max_tokens: int | None = None
    max_batch_tokens: int | None = None
    max_padding: float = 0.02
    doc_stride: int = 128
    max_answer_tokens: int = 15
    max_answer_tokens_limit: int = 100
    top_k: int = 1
    top_k_limit: int = 20
    align_to_words: bool = True
    no_answer: bool = False
    no_answer_threshold: float = 0.0
    score_normalization: ScoreNormalization = ScoreNormalization.JOINT
    max_question_tokens: int | None = None
    max_windows: int = 256
    providers: tuple[Provider, ...] = (Provider.CPU,)
    provider_fallback: bool = False

    def span_options(self, asked: ReadingOptions) -> SpanOptions:
        """Every choice made. Raises `Rejected` for an option past the worker's limit."""
        top_k = self.top_k if asked.top_k is None else asked.top_k
        longest = (
            self.max_answer_tokens if asked.max_answer_tokens is None else asked.max_answer_tokens
        )
        _within("top_k", top_k, self.top_k_limit)
        _within("max_answer_tokens", longest, self.max_answer_tokens_limit)
        return SpanOptions(
            top_k=top_k,
            max_answer_tokens=longest,
            align_to_words=(
                self.align_to_words if asked.align_to_words is None else asked.align_to_words
            ),
            no_answer=self.no_answer if asked.no_answer is None else asked.no_answer,
            no_answer_threshold=(
                self.no_answer_threshold
                if asked.no_answer_threshold is None
                else asked.no_answer_threshold
            ),
            score_normalization=self.score_normalization,
        )

    def stride(self, asked: ReadingOptions) -> int:
        """The overlap asked for; the windows cap it at half of what they hold."""
        return self.doc_stride if asked.doc_stride is None else asked.doc_stride


def _within(name: str, value: int, limit: int) -> None:
    if value > limit:
        raise Rejected(
            Reason.OPTION_OUT_OF_RANGE, f"options.{name} is {value}, the limit is {limit}"
        )
