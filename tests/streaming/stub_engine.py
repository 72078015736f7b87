"""An inference engine whose test decides when each answer is ready, or that it never is."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from schemas.answer import Answer, ModelInfo, Span
from schemas.question import Question
from worker.inference.options import InferenceOptions
from worker.inference.result import ReadResult
from worker.observability.timings import ReadTimings

MODEL = ModelInfo(name="stub", sha256="0" * 64, precision="float32")


def answer_to(question: Question) -> Answer:
    """The first word of the context."""
    word = question.passages[0].text.split()[0]
    span = Span(answer=word, score=0.5, start=0, end=len(word))
    return Answer(
        id=question.id or "",
        answer=word,
        score=span.score,
        start=0,
        end=len(word),
        answered=True,
        answers=[span],
        model=MODEL,
        windows=1,
        metadata=question.metadata,
    )


def result_for(question: Question) -> ReadResult[Answer]:
    return ReadResult(answer_to(question), ReadTimings())


class StubEngine:
    """Answers immediately, except questions for which `holds` is true: those wait for `release`."""

    def __init__(
        self, holds: Callable[[Question], bool] = lambda _: False, *, tokens_each: int = 0
    ) -> None:
        self.model = MODEL
        self.options = InferenceOptions(threads=1)
        self._tokens_each = tokens_each
        self.held: dict[str, tuple[Question, Future[ReadResult[Answer]]]] = {}
        self.seen: list[str] = []
        self.queues: dict[str, str] = {}
        self.holds = holds
        self.tokens_per_second = 1e9
        self.min_pending_tokens = 0
        self.on_progress: Callable[[], None] | None = None

    @property
    def pending_tokens(self) -> int:
        return self._tokens_each * len(self.held)

    @property
    def event_type(self) -> type[Question]:
        return Question

    def pending_tokens_of(self, queue: str) -> int:
        return self._tokens_each * sum(self.queues[name] == queue for name in self.held)

    def submit(self, event: Any, *, queue: str = "") -> "Future[Any]":
        assert isinstance(event, Question)
        future: Future[ReadResult[Answer]] = Future()
        self.seen.append(event.question)
        self.queues[event.question] = queue
        if self.holds(event):
            self.held[event.question] = (event, future)
        else:
            future.set_result(result_for(event))
        return future

    def release(self, name: str) -> None:
        question, future = self.held.pop(name)
        if not future.done():
            future.set_result(result_for(question))

    def release_all(self) -> None:
        self.holds = lambda _: False
        for name in list(self.held):
            self.release(name)
