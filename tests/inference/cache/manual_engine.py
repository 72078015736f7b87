"""An engine whose test completes each event, and a question for it."""

from concurrent.futures import Future
from typing import Any

from schemas.answer import Answer
from schemas.question import Question
from schemas.rejection import Reason, Rejected
from tests.streaming.stub_engine import MODEL, result_for
from worker.inference.cache.answer_cache import AnswerCache
from worker.inference.options import InferenceOptions
from worker.inference.result import ReadResult

Read = Future[ReadResult[Answer]]


class ManualEngine:
    """Its test completes each event."""

    model = MODEL
    options = InferenceOptions(threads=1)

    def __init__(self) -> None:
        self.running: list[tuple[Question, Read]] = []
        self.queues: list[str] = []
        self.submitted = 0
        self.closed = False

    def submit(self, event: Any, /, *, queue: str = "") -> Any:
        if self.closed:
            raise RuntimeError("the engine is closed")
        future: Read = Future()
        self.submitted += 1
        self.queues.append(queue)
        self.running.append((event, future))
        return future

    @property
    def live(self) -> list[tuple[Question, Read]]:
        return [each for each in self.running if not each[1].done()]

    def complete(self, index: int = 0) -> None:
        event, future = self.live[index]
        future.set_result(result_for(event))

    def reject(self, index: int = 0, reason: Reason = Reason.MODEL_FAILED) -> None:
        self.live[index][1].set_exception(Rejected(reason, "for the test"))


def question(id_: str, context: str = "Ada wrote it") -> Question:
    return Question(id=id_, question="Who?", context=context)


def ask(cache: AnswerCache, id_: str, context: str = "Ada wrote it", *, queue: str = "") -> Read:
    event = question(id_, context)
    return cache.submit(event, cache.key(event), queue=queue)
