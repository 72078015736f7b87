"""Many questions through a reader, outcomes in the order of the questions, memory bounded."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future

from schemas.answer import Answer
from schemas.question import Question
from schemas.rejection import Rejected
from worker.reading.reader import Reader

MAX_PENDING_TOKENS = 65_536


def read_in_order(
    reader: Reader,
    questions: Iterable[Question | Rejected],
    *,
    max_pending: int = MAX_PENDING_TOKENS,
) -> Iterator[Answer | Rejected]:
    """One outcome for each question; what was rejected before comes out in its turn.

    At most about `max_pending` tokens wait in the reader.
    """
    waiting: deque[Future[Answer]] = deque()
    for question in questions:
        if isinstance(question, Rejected):
            future: Future[Answer] = Future()
            future.set_exception(question)
        else:
            future = reader.submit(question)
        waiting.append(future)
        while waiting and (waiting[0].done() or reader.pending_tokens >= max_pending):
            yield _outcome(waiting.popleft())
    while waiting:
        yield _outcome(waiting.popleft())


def _outcome(future: Future[Answer]) -> Answer | Rejected:
    try:
        return future.result()
    except Rejected as rejected:
        return rejected
