"""What a session and its partitions need of delivery, in the same shape for both guarantees.

Delivery owns commits in both modes: no other module knows which one is in use.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiokafka import TopicPartition

from schemas.rejection import Reason
from worker.kafka.foreign_topics import ForeignTopics
from worker.kafka.receipts import Receipt
from worker.kafka.records import OutputRecord
from worker.kafka.refusals import Refusal
from worker.observability.record_trace import RecordTrace
from worker.settings.deadlines import ExpiredMode
from worker.streaming.offset_tracker import OffsetTracker, StartOffsets
from worker.streaming.replies import Reply, reply_outcome
from worker.streaming.unsure import Verdict


@dataclass(frozen=True, slots=True)
class ProcessedRecord:
    """What is published for the record at `offset`, in this order: an answer, or a dead letter for
    `reason`, and what goes with it. Without outputs only the offset is committed.
    """

    offset: int
    outputs: tuple[OutputRecord, ...]
    reason: Reason | None
    reply: Reply | None = None
    """The reply that the question asks for."""
    verdict: Verdict | None = None
    """What the answer says; None for a dead letter or an embedding."""
    answered_late: bool = False
    """Whether it is answered although its deadline passed before the model read it."""
    out_of_sample: bool = False
    """Whether QA_SAMPLE leaves it out: it has no outcome."""
    receipts: dict[int, Receipt] = field(default_factory=dict, compare=False)
    """Index of an output to its receipt; delivery adds them."""

    @property
    def expired(self) -> ExpiredMode | None:
        """What `QA_EXPIRED` did with a record whose deadline passed before the model read it."""
        if self.reason is Reason.EXPIRED:
            return "dead_letter" if self.outputs else "drop"
        return "answer" if self.answered_late else None

    @property
    def size(self) -> int:
        """Bytes of all outputs, as `OutputRecord.size` counts them."""
        return sum(output.size for output in self.outputs)

    @property
    def reply_outcome(self) -> str | None:
        """For `qa_replies_total`; None if the question asks for no reply."""
        return reply_outcome(self.reply, self.reason, self.outputs)


Refusals = Mapping[int, Refusal]
"""Index of an output among those of its input record to why its topic refuses it."""


class NotDeliveredError(Exception):
    """The brokers took nothing of the batch, or not all, and the delivery can go on."""

    def __init__(self, refused: Mapping[int, Refusals]) -> None:
        """`refused` maps the offset of an input record to its outputs that their topics refuse;
        such an output must not be delivered again. Empty: a smaller batch may be delivered.
        """
        reasons = [str(why) for refusals in refused.values() for why in refusals.values()]
        super().__init__("; ".join(reasons) or "throttled")
        self.refused = refused


@dataclass(frozen=True, slots=True)
class DeliveredRecord:
    """A record that waits for the commit of its offset, with its trace, if it has one."""

    trace: RecordTrace | None
    outcome: str


Tracker = OffsetTracker[DeliveredRecord]


@dataclass(frozen=True, slots=True)
class CommitPolicy:
    """When a partition's offset is committed: after `interval` seconds or `records` records."""

    interval: float
    records: int


class Partitions(Protocol):
    """The assigned partitions, as delivery closes them."""

    def close(self) -> None:
        """Discard what is in flight and stop the partitions' tasks."""

    async def wait_closed(self) -> None:
        """Wait until the tasks of closed partitions have ended."""


class PartitionDelivery(Protocol):
    """One partition's, for the time of one assignment or until it is restarted."""

    min_interval: float
    """Seconds from the start of one delivery to the start of the next."""

    commits_idle_position: bool
    """Whether `deliver([])` commits the tracker's position."""

    @property
    def max_bytes(self) -> int:
        """Bytes of the outputs of the next delivery; a single record may exceed them."""

    async def start(self) -> StartOffsets | None:
        """Where the consumer starts; None if the partition was revoked meanwhile or the brokers
        do not tell. Raises `KafkaError`.
        """

    def deliver(self, batch: Sequence[ProcessedRecord]) -> AsyncIterator[ProcessedRecord]:
        """Publish `batch` in its order. Yields each record once the brokers acknowledged it; the
        caller completes it in the tracker before it asks for the next. Raises `NotDeliveredError`,
        `KafkaError` and `TimeoutError`.
        """


class Delivery(Protocol):
    """A session's. `start`, then `run` beside `open` for each assigned partition, then `close`."""

    restarts_partition: bool
    """Whether opening the partition again cures a delivery that failed."""

    @property
    def foreign_topics(self) -> ForeignTopics:
        """The topics of clients, as the delivery's own client knows them."""

    async def start(self) -> None:
        """Connect. Raises `KafkaError`."""

    async def run(self) -> None:
        """Never returns. Raises the error that ends the session."""

    def open(self, partition: TopicPartition, tracker: Tracker) -> PartitionDelivery: ...

    async def commit(self, partitions: Collection[TopicPartition]) -> None:
        """Commit the positions of `partitions`, after a drain. Raises `KafkaError` if no retry
        can succeed.
        """

    async def close(self, partitions: Partitions, *, seconds: float) -> None:
        """Let what was sent finish, commit it, close `partitions` and the connections.

        Raises `TimeoutError` after that many seconds; the partitions are closed all the same.
        """
