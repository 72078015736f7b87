"""One event on its way through the reader: cut into windows, its outputs collected, settled.

Knows no threads; whoever has the job calls the next step. What a step does depends on the kind of
event: `question_job` and `text_job` say.
"""

from abc import ABC, abstractmethod
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from schemas.answer import ModelInfo
from schemas.event import Event, Outcome
from schemas.rejection import Rejected
from worker.inference.onnx_session import Outputs
from worker.inference.window import Window
from worker.observability.record_trace import RecordTrace

R = TypeVar("R", bound=Outcome)


@dataclass(slots=True)
class TokenReservation:
    """Tokens that a job counts for in the reader's `pending_tokens`.

    Apart from the job: a future keeps its callbacks, and one that held the job would make a ring of
    the two, which stays, with all that was encoded, until the garbage collector comes by.
    """

    tokens: int = 0


class Job(ABC, Generic[R]):
    """An event and the future of its outcome."""

    def __init__(self) -> None:
        self.future: Future[R] = Future()
        self.share = TokenReservation()
        self.windows: list[Window] = []
        self.left = 0
        """How many windows have not run."""
        self.journey: RecordTrace | None = None
        """Where somebody follows this event."""

    @property
    @abstractmethod
    def texts(self) -> tuple[str, ...]:
        """What will be encoded."""

    @property
    def estimate(self) -> int:
        """Tokens, until they are known: English has four characters to one, Chinese one."""
        return sum(len(text) // 4 if text.isascii() else len(text) for text in self.texts)

    @abstractmethod
    def encode(self) -> list[Window]:
        """The windows. Raises `Rejected`."""

    @abstractmethod
    def collect(self, index: int, outputs: Outputs) -> None:
        """What the model made of one window. Each is handed over once, by any thread."""

    @abstractmethod
    def settle(self, model: ModelInfo) -> R:
        """All windows have run: what comes of it.

        Raises `LogitsError` or `VectorError` for numbers that nothing can be made of.
        """

    def cut(self) -> None:
        """Encode and cut into windows. Raises `Rejected`."""
        self.windows = self.encode()
        self.left = len(self.windows)

    def finish(self, outcome: R | Rejected) -> None:
        """Hand the outcome to whoever waits, unless nobody does any more."""
        try:
            if isinstance(outcome, Rejected):
                self.future.set_exception(outcome)
            else:
                self.future.set_result(outcome)
        except InvalidStateError:
            # It was cancelled, or another of its windows failed first.
            return


class TaskAdapter(Protocol):
    """How a bundle's task is done: what a reader must know of it."""

    @property
    def event_type(self) -> type[Event[Any]]: ...

    @property
    def stage(self) -> str:
        """The name of the step that settles a job, for the metrics."""

    def make(self, event: Any) -> Job[Any]:
        """The job of an `event_type`."""

    def check(self, window: Window, outputs: Outputs) -> None:
        """Raises `ValueError` where outputs of this shape are none for this task."""


@dataclass(frozen=True, slots=True)
class WindowItem:
    """One window of a job, waiting to run."""

    job: Job[Any]
    index: int

    @property
    def window(self) -> Window:
        return self.job.windows[self.index]
