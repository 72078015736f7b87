"""What the worker's Kafka clients did, for the listeners of a worker: polls and sent messages.

Plain values, no tracer. All times are nanoseconds since the epoch (`time.time_ns`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

Header = tuple[str, bytes | None]


class Message(Protocol):
    """A record, as far as traces and metrics describe it."""

    @property
    def topic(self) -> str: ...

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...

    @property
    def headers(self) -> Sequence[Header]: ...


class ReceivedMessage(Message, Protocol):
    """A record that was polled."""

    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll that returned records or failed."""

    began: int
    ended: int
    records: Sequence[ReceivedMessage]
    error_type: str = ""
    """As in `Send`."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """A message that was sent, or failed: once, whatever number of requests it took."""

    topic: str
    key: bytes | None
    headers: Sequence[Header]
    is_tombstone: bool
    """Whether the message has no value."""
    began: int
    """Of the request that ended it; of the delivery if it failed."""
    ended: int
    partition: int | None = None
    """The target partition; None if the message failed."""
    offset: int | None = None
    """None if the message failed, or if a request was repeated that had succeeded before."""
    error_type: str = ""
    """The protocol's name of a broker's error, otherwise the class of the error; empty if none."""
    error: str = ""
    """The error's message; one line."""
