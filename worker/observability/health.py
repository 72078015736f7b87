"""Is the worker alive, is it ready? Pure: the clock is passed in, others say what happened.

Alive means progress: work that is due and not done for too long is a failure. Brokers that are
away are not: a restart does not bring them back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Health:
    """`clock` gives seconds that never run backwards; so are all durations here."""

    clock: Callable[[], float]
    stall_after: float
    """Work due and nothing finished for so long: stalled."""
    contact_after: float
    """No word from the brokers for so long: away."""
    ready: bool = False
    _progress: float = field(init=False)
    _contact: float = field(init=False)
    _due: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._progress = self._contact = self.clock()

    def progressed(self) -> None:
        """A record was finished: answered or rejected, and acknowledged."""
        self._progress = self.clock()

    def contacted(self) -> None:
        """The brokers answered."""
        now = self.clock()
        if now - self._contact > self.contact_after:
            # After an outage the work that waited gets its full time.
            self._progress = now
        self._contact = now

    def due(self, work: bool) -> None:
        """Whether there is work: records in flight, or lag on an assigned partition."""
        if work and not self._due:
            self._progress = self.clock()
        self._due = work

    @property
    def silence(self) -> float:
        """Seconds since the brokers last answered."""
        return self.clock() - self._contact

    @property
    def stalled(self) -> bool:
        away = self.silence > self.contact_after
        return self._due and not away and self.clock() - self._progress > self.stall_after
