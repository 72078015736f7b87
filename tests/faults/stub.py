"""An engine without a model for the worker process: known answers, delayed and out of order."""

import heapq
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from schemas.question import Question
from tests.streaming.stub_engine import MODEL, result_for
from worker.inference.options import InferenceOptions

# Like a model with short questions; answers overtake each other.
_DELAY_SECONDS = (0.001, 0.015)

_TOKENS = 30
"""Tokens of each question, for the worker's bound on tokens in flight."""


class Stub:
    """Answers each question with the first word of its context."""

    def __init__(self) -> None:
        self.model = MODEL
        self.options = InferenceOptions(threads=1)
        self.event_type = Question
        self.tokens_per_second = 1e9
        self.min_pending_tokens = 0
        self.on_progress: Callable[[], None] | None = None
        self._due: list[tuple[float, int, Question, Future[Any], str]] = []
        self._number = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._serve, name="stub-engine", daemon=True).start()

    @property
    def pending_tokens(self) -> int:
        return _TOKENS * len(self._due)

    def pending_tokens_of(self, queue: str) -> int:
        return _TOKENS * sum(name == queue for *_, name in list(self._due))

    def submit(self, event: Question, *, queue: str = "") -> "Future[Any]":
        future: Future[Any] = Future()
        due = time.monotonic() + random.uniform(*_DELAY_SECONDS)
        with self._changed:
            self._number += 1
            heapq.heappush(self._due, (due, self._number, event, future, queue))
            self._changed.notify()
        return future

    def close(self) -> None:
        """The thread ends with the process."""

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                _, _, event, future, _ = heapq.heappop(self._due)
            if future.set_running_or_notify_cancel():
                future.set_result(result_for(event))
