"""Runs many events through an engine; yields outcomes in the order of the events."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future

from schemas.event import Event
from schemas.rejection import Rejected
from worker.inference.engine import InferenceEngine
from worker.inference.result import R, ReadResult

MAX_PENDING_TOKENS = 65_536


def map_ordered(
    engine: InferenceEngine,
    events: Iterable[Event[R] | Rejected],
    *,
    max_pending: int = MAX_PENDING_TOKENS,
) -> Iterator[R | Rejected]:
    """Yield one outcome for each event; a `Rejected` among `events` is yielded in its turn.

    Memory is bounded: events are submitted while fewer than `max_pending` tokens are pending.
    """
    waiting: deque[Future[ReadResult[R]]] = deque()
    for event in events:
        if isinstance(event, Rejected):
            future: Future[ReadResult[R]] = Future()
            future.set_exception(event)
        else:
            future = engine.submit(event)
        waiting.append(future)
        while waiting and (waiting[0].done() or engine.pending_tokens >= max_pending):
            yield _outcome(waiting.popleft())
    while waiting:
        yield _outcome(waiting.popleft())


def _outcome(future: Future[ReadResult[R]]) -> R | Rejected:
    try:
        return future.result().outcome
    except Rejected as rejected:
        return rejected
