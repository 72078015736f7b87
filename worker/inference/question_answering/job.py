"""Extractive question answering: splits pairs into windows, and ranks spans by their logits."""

from dataclasses import replace

from schemas.answer import Answer, ModelInfo, Span
from schemas.question import Question, ReadingOptions
from worker.inference.job import Job
from worker.inference.onnx_session import Outputs
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.spans import (
    RankedSpan,
    SpanOptions,
    WindowLogits,
    rank,
)
from worker.inference.question_answering.windows import EncodedContext, Windower
from worker.inference.window import Window
from worker.models.bundle import Bundle, BundleError


class QuestionAnsweringTask:
    """Jobs for a bundle that answers questions."""

    event_type = Question

    def __init__(self, bundle: Bundle, options: InferenceOptions, *, max_tokens: int) -> None:
        """`max_tokens` bounds a window. Raises `BundleError`."""
        self.max_question_tokens = options.max_question_tokens or max_tokens // 2
        if self.max_question_tokens > max_tokens // 2:
            raise BundleError(
                f"a question of {self.max_question_tokens} tokens leaves less than half of a "
                f"window of {max_tokens} to its context: lower the limit for questions"
            )
        self.windower = Windower(bundle, max_tokens=max_tokens)
        self.options = options.for_model(bundle.manifest)
        calibration = bundle.manifest.calibration
        self.temperature = calibration.temperature if calibration else 1.0

    def span_options(self, asked: ReadingOptions) -> SpanOptions:
        """What applies to a question that asks for these options. Raises `Rejected`."""
        return replace(self.options.span_options(asked), temperature=self.temperature)

    def make(self, event: Question) -> "QuestionJob":
        return QuestionJob(event, self)

    def check(self, window: Window, outputs: Outputs) -> None:
        """Raises `ValueError` unless there are a start and an end logit for each token."""
        starts, ends = outputs
        if not starts.shape == ends.shape == (len(window),):
            raise ValueError(
                f"logits of shape {starts.shape} and {ends.shape} for {len(window)} tokens"
            )


class QuestionJob(Job[Answer]):
    """A question, until its answer."""

    def __init__(self, question: Question, task: QuestionAnsweringTask) -> None:
        super().__init__()
        self._question = question
        self._task = task
        self._options: SpanOptions | None = None
        self._context: EncodedContext | None = None
        self._logits: dict[int, Outputs] = {}

    @property
    def texts(self) -> tuple[str, ...]:
        return self._question.question, self._question.context

    def split(self) -> list[Window]:
        """The pair's windows; none for a context without a token. Raises `Rejected`."""
        task, asked = self._task, self._question.options
        self._options = task.span_options(asked)
        ids = task.windower.tokenize_question(
            self._question.question, max_tokens=task.max_question_tokens
        )
        stride, max_windows = task.options.stride(asked), task.options.max_windows
        limit = task.windower.max_context_tokens(ids, stride=stride, max_windows=max_windows)
        self._context = task.windower.tokenize_context(self._question.context, max_tokens=limit)
        return task.windower.split(ids, self._context, stride=stride, max_windows=max_windows)

    def add_output(self, index: int, outputs: Outputs) -> None:
        self._logits[index] = outputs

    def rank(self, options: SpanOptions) -> list[RankedSpan]:
        """The spans of all windows, best first. Raises `LogitsError`."""
        assert self._context is not None
        read: list[WindowLogits] = []
        for index, window in enumerate(self.windows):
            starts, ends = self._logits[index]
            read.append((window, starts, ends))
        return rank(self._question.context or "", self._context, read, options)

    def postprocess(self, model: ModelInfo) -> Answer:
        """The answer: the best span, or none if its score is too low. Raises `LogitsError`."""
        options = self._options
        assert options is not None
        spans = [each.at_temperature(options.temperature) for each in self.rank(options)]
        best = spans[0]
        answered = best.end > best.start and best.score >= options.min_score
        # For consumers that do not look at `answered`: they must not take the span for an answer.
        top = best if answered else Span(answer="", score=best.score, start=0, end=0)
        return Answer(
            id=self._question.id or "",
            answer=top.answer,
            score=top.score,
            start=top.start,
            end=top.end,
            answered=answered,
            answers=spans,
            model=model,
            windows=len(self.windows),
            metadata=self._question.metadata,
        )
