"""One event on its way through the engine: preprocess, add the model's outputs, postprocess.

Knows no threads; the engine calls the steps. What a step does depends on the task: see
`question_answering/job.py` and `embedding/job.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any, Generic, Protocol

from schemas.answer import ModelInfo
from schemas.event import Event
from schemas.rejection import Rejected
from worker.inference.deadline import Deadline
from worker.inference.onnx_session import Outputs
from worker.inference.pending_tokens import TokenReservation
from worker.inference.result import R, ReadResult
from worker.inference.window import Window
from worker.observability.timings import ReadTimings, StageTiming


class Job(ABC, Generic[R]):
    """An event and the future of its result."""

    def __init__(self) -> None:
        self.future: Future[ReadResult[R]] = Future()
        self.reservation = TokenReservation()
        self.queue = ""
        """In which it waits for the engine's threads."""
        self.windows: list[Window] = []
        self.remaining = 0
        """Number of windows that have not run."""
        self.timings = ReadTimings()
        self.deadline: Deadline | None = None
        self.started = False
        """Whether a batch has taken one of its windows."""

    @property
    @abstractmethod
    def texts(self) -> tuple[str, ...]:
        """The texts that `preprocess` will tokenize."""

    @property
    def estimated_tokens(self) -> int:
        """A guess before tokenization: four characters a token in ASCII texts, one in others."""
        return sum(len(text) // 4 if text.isascii() else len(text) for text in self.texts)

    @abstractmethod
    def split(self) -> list[Window]:
        """Tokenize the event and split it into windows. Raises `Rejected`."""

    @abstractmethod
    def add_output(self, index: int, outputs: Outputs) -> None:
        """Keep the model's outputs for window `index`. Any thread may call it, once per window."""

    @abstractmethod
    def postprocess(self, model: ModelInfo) -> R:
        """Make the outcome from the outputs of all windows.

        Raises `LogitsError` or `VectorError` if the model's outputs are not finite.
        """

    def preprocess(self) -> None:
        """Fill `windows`. Raises `Rejected`."""
        self.windows = self.split()
        self.remaining = len(self.windows)

    def has_expired(self, now: float) -> bool:
        """Whether its deadline passes before it has started; `now` is Unix time in seconds."""
        return not self.started and self.deadline is not None and self.deadline.has_passed(now)

    def expire(self) -> None:
        """Fail the future because of the deadline, which it has."""
        assert self.deadline is not None
        self.reject(self.deadline.rejection())

    def add_stage(self, name: str, began: int, seconds: float) -> None:
        """Record a stage that began at `began` (nanoseconds since the epoch)."""
        self.timings.stages.append(StageTiming(name, began, began + int(seconds * 1e9)))

    def complete(self, outcome: R) -> None:
        """Resolve the future, unless it was cancelled or another window failed before."""
        try:
            self.future.set_result(ReadResult(outcome, self.timings))
        except InvalidStateError:
            return

    def reject(self, rejected: Rejected) -> None:
        """Fail the future, unless it was cancelled or another window failed before."""
        try:
            self.future.set_exception(rejected)
        except InvalidStateError:
            return


class TaskAdapter(Protocol):
    """What the engine has to know of a bundle's task."""

    @property
    def event_type(self) -> type[Event[Any]]: ...

    def make(self, event: Any) -> Job[Any]:
        """The job of an event of type `event_type`."""

    def check(self, window: Window, outputs: Outputs) -> None:
        """Raises `ValueError` if outputs of this shape do not fit the task."""


@dataclass(frozen=True, slots=True)
class WindowItem:
    """One window of a job, waiting to run."""

    job: Job[Any]
    index: int

    @property
    def window(self) -> Window:
        return self.job.windows[self.index]


def start_jobs(items: Iterable[WindowItem], now: float) -> tuple[list[WindowItem], list[Job[Any]]]:
    """The windows of a batch that still have to run, whose jobs have started now; and the expired
    jobs of the others. `now` is Unix time in seconds. The caller holds the lock of the queue.
    """
    live: list[WindowItem] = []
    expired: dict[int, Job[Any]] = {}
    for item in items:
        if item.job.has_expired(now):
            expired[id(item.job)] = item.job
        else:
            item.job.started = True
            live.append(item)
    return live, list(expired.values())
