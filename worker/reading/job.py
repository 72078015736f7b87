"""One question on its way through the reader: cut into windows, its logits collected, answered.

Knows no threads; whoever has the job calls the next step.
"""

from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from schemas.answer import Answer, ModelInfo
from schemas.question import Question
from schemas.rejection import Rejected
from worker.reading.options import ReadingDefaults
from worker.reading.session import Outputs
from worker.reading.spans import SpanOptions, rank
from worker.reading.windows import EncodedContext, Window, Windower


@dataclass(slots=True, eq=False)
class Job:
    """A question and the future of its answer. `left` counts the windows without logits."""

    question: Question
    future: Future[Answer]
    pending: int = 0
    """Tokens that this job counts for in the reader's `pending_tokens`."""
    windows: list[Window] = field(default_factory=list)
    left: int = 0
    _options: SpanOptions | None = None
    _context: EncodedContext | None = None
    _logits: list[Outputs | None] = field(default_factory=list)

    def cut(self, windower: Windower, defaults: ReadingDefaults, max_question_tokens: int) -> None:
        """Encode and cut into windows. Raises `Rejected`."""
        asked = self.question.options
        self._options = defaults.span_options(asked)
        ids = windower.encode_question(self.question.question, max_tokens=max_question_tokens)
        self._context = windower.encode_context(self.question.context)
        self.windows = windower.cut(
            ids,
            self._context,
            stride=defaults.stride(asked),
            max_windows=defaults.max_windows,
        )
        self._logits = [None] * len(self.windows)
        self.left = len(self.windows)

    def collect(self, index: int, logits: Outputs) -> None:
        """The logits of one window."""
        self._logits[index] = logits
        self.left -= 1

    def answer(self, model: ModelInfo) -> Answer:
        """All windows are read: pick the spans. Raises `LogitsError`."""
        assert self._options is not None
        assert self._context is not None
        read = [
            (window, pair[0], pair[1])
            for window, pair in zip(self.windows, self._logits, strict=True)
            if pair is not None
        ]
        spans = rank(self.question.context, self._context, read, self._options)
        best = spans[0]
        return Answer(
            id=self.question.id or "",
            answer=best.answer,
            score=best.score,
            start=best.start,
            end=best.end,
            answered=best.end > best.start,
            answers=spans,
            model=model,
            windows=len(self.windows),
            metadata=self.question.metadata,
        )

    def finish(self, outcome: Answer | Rejected) -> None:
        """Hand the outcome to whoever waits, unless nobody does any more."""
        try:
            if isinstance(outcome, Answer):
                self.future.set_result(outcome)
            else:
                self.future.set_exception(outcome)
        except InvalidStateError:
            # It was cancelled, or another of its windows failed first.
            return


@dataclass(frozen=True, slots=True)
class Piece:
    """One window of a job, waiting to run."""

    job: Job
    index: int

    @property
    def window(self) -> Window:
        return self.job.windows[self.index]
