"""Extractive question answering: splits passages into windows, and ranks spans by their logits."""

from dataclasses import replace
from itertools import islice

from schemas.answer import Answer, ModelInfo, Span
from schemas.question import Question, ReadingOptions
from worker.inference.job import Job
from worker.inference.onnx_session import Outputs
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.candidates import ReadPassage, WindowLogits
from worker.inference.question_answering.offset_units import spans_in_unit
from worker.inference.question_answering.passages import (
    SplitPassage,
    check_number,
    split_passages,
)
from worker.inference.question_answering.spans import SpanOptions, rank_with_softmax
from worker.inference.question_answering.temperature import Softmax
from worker.inference.question_answering.windows import Windower
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
        self._passages = question.passages
        self._task = task
        self._options: SpanOptions | None = None
        self._split: list[SplitPassage] = []
        self._logits: dict[int, Outputs] = {}

    @property
    def texts(self) -> tuple[str, ...]:
        # The question is in the windows of each passage.
        return tuple(
            text for each in self._passages for text in (self._question.question, each.text)
        )

    def split(self) -> list[Window]:
        """The windows of all passages in turn; none for one without a token. Raises `Rejected`."""
        task, asked = self._task, self._question.options
        self._options = task.span_options(asked)
        check_number(self._passages, task.options.max_contexts)
        ids = task.windower.tokenize_question(
            self._question.question, max_tokens=task.max_question_tokens
        )
        self._split = split_passages(
            task.windower,
            ids,
            self._passages,
            stride=task.options.stride(asked),
            max_windows=task.options.max_windows,
        )
        windows = [window for each in self._split for window in each.windows]
        self.timings.attributes["qa.contexts"] = len(self._passages)
        self.timings.attributes["qa.windows"] = len(windows)
        return windows

    def add_output(self, index: int, outputs: Outputs) -> None:
        self._logits[index] = outputs

    def rank(self, options: SpanOptions) -> tuple[list[Span], Softmax | None]:
        """As `rank_with_softmax`, of all windows. Raises `LogitsError`."""
        logits: list[WindowLogits] = []
        for index, window in enumerate(self.windows):
            starts, ends = self._logits[index]
            logits.append((window, starts, ends))
        windows = iter(logits)
        read = [
            ReadPassage(
                each.passage.text,
                each.context,
                list(islice(windows, len(each.windows))),
                id=each.passage.id,
                retriever_score=each.passage.score,
            )
            for each in self._split
        ]
        return rank_with_softmax(read, options)

    def postprocess(self, model: ModelInfo) -> Answer:
        """The answer: the best span, or none if its score is too low. Raises `LogitsError`."""
        assert self._options is not None
        spans, _ = self.rank(self._options)
        unit = self._task.options.offset_unit(self._question.options)
        spans = spans_in_unit(spans, [each.text for each in self._passages], unit)
        best = spans[0]
        answered = best.end > best.start and best.score >= self._options.min_score
        # For consumers that do not look at `answered`: they must not take the span for an answer.
        top = best if answered else Span(answer="", score=best.score, start=0, end=0)
        return Answer(
            id=self._question.id or "",
            answer=top.answer,
            score=top.score,
            start=top.start,
            end=top.end,
            context_index=top.context_index,
            context_id=top.context_id,
            answered=answered,
            answers=spans,
            offsets=unit,
            model=model,
            windows=len(self.windows),
            metadata=self._question.metadata,
        )
