"""WorkQueues: what waits for a thread of the engine, in queues that share the threads by weight.

Pure: the caller passes the time and holds the lock. With one queue the order is that of the queue
alone: what is not preprocessed first, then the oldest window.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from worker.inference.batching import Batch, Batcher
from worker.inference.fair_shares import FairShares

J = TypeVar("J")
W = TypeVar("W")

PREPROCESS_COST = 0.01
"""Cost of preprocessing an estimated token, in tokens that the model runs: the ratio of their
processor times, for SQuAD's questions and the default model. So a queue whose events are all
rejected before they run is charged too."""


@dataclass(slots=True)
class _Queue(Generic[J, W]):
    windows: Batcher[W]
    jobs: deque[tuple[J, int]] = field(default_factory=deque)
    """Not preprocessed, each with its estimated tokens."""


class WorkQueues(Generic[J, W]):
    """Jobs to preprocess and windows to run, by queue.

    Work-conserving: a queue that is alone gets everything. A batch has windows of one queue, so
    that none waits for the windows of another queue in its batch.
    """

    def __init__(self, new_batcher: Callable[[], Batcher[W]], weights: Mapping[str, int]) -> None:
        """A queue that `weights` does not name has weight 1."""
        self._new_batcher = new_batcher
        self._shares = FairShares(weights)
        self._queues: dict[str, _Queue[J, W]] = {}

    def add_job(self, queue: str, job: J, tokens: int) -> None:
        """`job` waits to be preprocessed; `tokens` is an estimate."""
        self._queue(queue).jobs.append((job, tokens))

    def add_window(self, queue: str, window: W, tokens: int, now: float) -> None:
        """`window` waits to run."""
        self._queue(queue).windows.add(window, tokens, now)

    def take(self, now: float) -> tuple[str, J | Batch[W]] | None:
        """Remove and return the next job to preprocess or batch to run, with its queue; `None` if
        nothing waits.
        """
        name = self._shares.choose(
            name for name, queue in self._queues.items() if queue.jobs or len(queue.windows)
        )
        if name is None:
            return None
        queue = self._queues[name]
        if queue.jobs:
            job, tokens = queue.jobs.popleft()
            self._shares.charge(name, max(1, round(tokens * PREPROCESS_COST)))
            return name, job
        batch = queue.windows.next_batch(now)
        assert batch is not None
        self._shares.charge(name, batch.padded_tokens)
        return name, batch

    def _queue(self, name: str) -> _Queue[J, W]:
        if name not in self._queues:
            self._queues[name] = _Queue(self._new_batcher())
        return self._queues[name]
