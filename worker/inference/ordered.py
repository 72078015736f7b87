"""Many events through a reader, outcomes in the order of the events, memory bounded."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future

from schemas.event import Event
from schemas.rejection import Rejected
from worker.inference.engine import InferenceEngine
from worker.inference.job import R

MAX_PENDING_TOKENS = 65_536


def map_ordered(
    reader: InferenceEngine,
    events: Iterable[Event[R] | Rejected],
    *,
    max_pending: int = MAX_PENDING_TOKENS,
) -> Iterator[R | Rejected]:
    """One outcome for each event; what was rejected before comes out in its turn.

    At most about `max_pending` tokens wait in the reader.
    """
    waiting: deque[Future[R]] = deque()
    for event in events:
        if isinstance(event, Rejected):
            future: Future[R] = Future()
            future.set_exception(event)
        else:
            future = reader.submit(event)
        waiting.append(future)
        while waiting and (waiting[0].done() or reader.pending_tokens >= max_pending):
            yield _outcome(waiting.popleft())
    while waiting:
        yield _outcome(waiting.popleft())


def _outcome(future: Future[R]) -> R | Rejected:
    try:
        return future.result()
    except Rejected as rejected:
        return rejected
